// Checks JSON against a JSON Schema. Supports the keywords that docs/schemas uses.
#pragma once

#include <string>
#include <vector>

#include "formats/json.h"

namespace bitaxon::test {

/// The problems of `value`, one line each. Each line begins with a path ("$.records[0].test").
/// Empty if `value` follows the schema. Checks type, enum, required, properties,
/// additionalProperties, items, minItems, minimum and $ref within the schema, and ignores $schema,
/// $defs, title and description. Any other keyword is a problem too, because its rule would not be
/// checked.
std::vector<std::string> schema_problems(const Json& schema, const Json& value);

/// docs/schemas/NAME.schema.json of the source tree.
Json read_schema(const std::string& name);

}  // namespace bitaxon::test
