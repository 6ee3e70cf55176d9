// The figures of a benchmark as text.
#pragma once

#include <optional>
#include <string>

#include "bitaxon/benchmark.h"

namespace bitaxon::tool {

/// "27.9 GB/s", "1.20 TB/s"
std::string rate_text(double bytes_per_s);
/// "115.8 GFLOP/s", "60.1 TFLOP/s"
std::string flops_text(double flops_per_s);
/// "82.6 ms", "1.04 s"
std::string time_text(double seconds);
/// "prefill 128", "decode 128 at 8192, synthesized"
std::string test_text(const BenchTest& test);
/// "12.3 %"; "-" if the share is not known or not finite.
std::string percent_text(std::optional<double> share);
/// "read" or "float32": what the limit comes from.
const char* limit_name(const BenchLimit& limit);
/// The range of a rate, "27.9 GB/s to 30.1 GB/s"; empty if it was measured once.
std::string range_text(const RateRange& rates, double DeviceRates::*rate,
                       std::string (*text)(double));
/// "cpu: one step of decode, 1 row at 2048, synthesized"
std::string profile_text(const BenchedDevice& device, const BenchProfile& profile);
/// Printed in place of a rate or a limit that is not known.
inline constexpr const char* kNotMeasured = "not measured";
/// Whether a test decoded after a synthesized state.
bool has_made_up_records(const Benchmark& found);
/// What a synthesized state means, in one line.
inline constexpr const char* kMadeUpNote =
    "synthesized: the tokens before were not fed; the state holds random numbers";

}  // namespace bitaxon::tool
