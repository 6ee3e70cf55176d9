// What a benchmark found, as text for people, as rows for programs.
#pragma once

#include <string>

#include "benchmark.h"
#include "formats/json.h"

namespace bitaxon::tool {

std::string table_text(const Benchmark& found);
std::string markdown_text(const Benchmark& found);
/// A header, then one row for each record: the fields of JSON's records. No profiles.
std::string csv_text(const Benchmark& found);
/// As docs/schemas/benchmark.schema.json says.
Json report_json(const Benchmark& found);

/// "27.9 GB/s", "1.20 TB/s"
std::string rate_text(double bytes_per_s);
/// "115.8 GFLOP/s", "60.1 TFLOP/s"
std::string flops_text(double flops_per_s);
/// "82.6 ms", "1.04 s"
std::string time_text(double seconds);
/// "prefill 128", "decode 128 at 8192"
std::string test_text(const BenchTest& test);

}  // namespace bitaxon::tool
