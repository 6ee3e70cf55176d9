// The figures of a benchmark as text.
#pragma once

#include <optional>
#include <string>

#include "bitaxon/benchmark.h"

namespace bitaxon::tool {

/// A read rate as text, such as "27.9 GB/s" or "1.20 TB/s".
std::string rate_text(double bytes_per_s);
/// A rate of operations as text, such as "115.8 GFLOP/s" or "60.1 TFLOP/s".
std::string flops_text(double flops_per_s);
/// A time as text, such as "82.6 ms" or "1.04 s".
std::string time_text(double seconds);
/// The name of a test, such as "prefill 128" or "decode 128 at 8192, synthesized".
std::string test_text(const BenchTest& test);
/// A share as text, such as "12.3 %". "-" if the share is not known or not finite.
std::string percent_text(std::optional<double> share);
/// What limits a test, in words: "reading", "float32 arithmetic", "matrix units" or "launches".
const char* limit_words(BenchRate rate);
/// The range of a rate, such as "27.9 GB/s to 30.1 GB/s". Empty if the rate was measured once.
std::string range_text(const RateRange& rates, double DeviceRates::*rate,
                       std::string (*text)(double));
/// The name of a profile, such as "cpu: one step of decode, 1 row at 2048, synthesized".
std::string profile_text(const BenchedDevice& device, const BenchProfile& profile);
/// Printed in place of a rate or a limit that is not known.
inline constexpr const char* kNotMeasured = "not measured";
/// Whether a test of the benchmark decoded after a synthesized state.
bool has_made_up_records(const Benchmark& found);
/// A note that explains the word "synthesized", in one line.
inline constexpr const char* kMadeUpNote =
    "synthesized: the tokens before were not fed; the state holds random numbers";

}  // namespace bitaxon::tool
