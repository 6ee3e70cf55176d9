#include "benchmark_page.h"

namespace bitaxon::tool {

std::string page_text(const Benchmark&) { return ""; }

}  // namespace bitaxon::tool
