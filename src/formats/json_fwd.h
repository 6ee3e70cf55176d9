// Declares Json for headers. formats/json.h, which defines it, takes a second to compile.
#pragma once

#include <nlohmann/json_fwd.hpp>

namespace bitaxon {

using Json = nlohmann::ordered_json;

}  // namespace bitaxon
