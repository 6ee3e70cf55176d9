// The results of a benchmark for people.
#pragma once

#include <string>

#include "bitaxon/benchmark.h"

namespace bitaxon::tool {

std::string table_text(const Benchmark& found);
std::string markdown_text(const Benchmark& found);

}  // namespace bitaxon::tool
