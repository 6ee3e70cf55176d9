// Checks JSON against a JSON Schema. Supports only the keywords that docs/schemas uses.
#pragma once

#include <string>
#include <vector>

#include "formats/json.h"

namespace bitaxon::test {

/// Describes each problem of `value` in one line that begins with a path ("$.records[0].test").
/// Empty if `value` follows the schema. The function checks type, enum, required, properties,
/// additionalProperties, items, minItems, minimum and $ref within the schema. It ignores $schema,
/// $defs, title and description. Any other keyword in the schema is a problem, because nothing
/// would check its rule.
std::vector<std::string> schema_problems(const Json& schema, const Json& value);

/// Reads docs/schemas/NAME.schema.json from the source tree.
Json read_schema(const std::string& name);

}  // namespace bitaxon::test
