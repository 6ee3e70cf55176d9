// The result of a comparison as a table and as JSON.
#pragma once

#include <string>

#include "compare/comparison.h"
#include "formats/json_fwd.h"

namespace bitaxon::tool {

std::string report_text(const Comparison& comparison);
Json report_json(const Comparison& comparison);

}  // namespace bitaxon::tool
