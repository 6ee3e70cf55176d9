// What a benchmark found, as a page of HTML that needs nothing beside it.
#pragma once

#include <string>

#include "benchmark.h"

namespace bitaxon::tool {

std::string page_text(const Benchmark& found);

}  // namespace bitaxon::tool
