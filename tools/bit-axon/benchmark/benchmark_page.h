// The results of a benchmark as a self-contained page of HTML.
#pragma once

#include <string>

#include "bitaxon/benchmark.h"

namespace bitaxon::tool {

std::string page_text(const Benchmark& found);

}  // namespace bitaxon::tool
