// Holds JSON to a JSON Schema, as far as docs/schemas uses that language.
#pragma once

#include <string>
#include <vector>

#include "formats/json.h"

namespace bitaxon::test {

/// What is wrong with `value`, one line each that begins with its place ("$.records[0].test");
/// empty: nothing. Knows type, enum, required, properties, additionalProperties, items, minItems,
/// minimum and $ref within the schema, besides $schema, $defs, title and description. Another
/// keyword is a problem too: a rule that is not checked must not look as if it were.
std::vector<std::string> schema_problems(const Json& schema, const Json& value);

/// docs/schemas/NAME.schema.json of the source tree.
Json read_schema(const std::string& name);

}  // namespace bitaxon::test
