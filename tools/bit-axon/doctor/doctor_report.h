// The report of `bit-axon doctor`. It holds nothing private: no path, host name or identity of a
// device.
#pragma once

#include <string>

#include "doctor/examination.h"
#include "formats/json.h"

namespace bitaxon::tool {

std::string report_text(const Examination& found);
Json report_json(const Examination& found);

}  // namespace bitaxon::tool
