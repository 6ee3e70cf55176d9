#include "benchmark/benchmark_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "platform/printable.h"

namespace bitaxon::tool {

const char* limit_words(BenchRate rate) {
  switch (rate) {
    case BenchRate::read:
      return "reading";
    case BenchRate::float32:
      return "float32 arithmetic";
    case BenchRate::matrix:
      return "matrix units";
    case BenchRate::launches:
      break;
  }
  return "launches";
}

std::string percent_text(std::optional<double> share) {
  return share && std::isfinite(*share) ? fmt::format("{:.1f} %", 100 * *share) : std::string("-");
}

std::string range_text(const RateRange& rates, double DeviceRates::*rate,
                       std::string (*text)(double)) {
  const auto [least, most] = std::minmax({rates.best.*rate, rates.worst.*rate});
  return rates.n_measured < 2 ? "" : fmt::format("{} to {}", text(least), text(most));
}

std::string profile_text(const BenchedDevice& device, const BenchProfile& profile) {
  return fmt::format("{}: one step of {}, {} row{} at {}{}", printable(device.selector),
                     name_of(profile.kind), profile.n_rows, profile.n_rows == 1 ? "" : "s",
                     profile.position, profile.has_made_up_state() ? ", synthesized" : "");
}

bool has_made_up_records(const Benchmark& found) {
  // All devices run the same tests.
  return std::ranges::any_of(found.devices.front().records,
                             [](const BenchRecord& record) { return record.test.made_up_state; });
}

std::string rate_text(double bytes_per_s) {
  if (!std::isfinite(bytes_per_s)) return "-";
  if (bytes_per_s >= 1e12) return fmt::format("{:.2f} TB/s", bytes_per_s * 1e-12);
  if (bytes_per_s >= 1e9) return fmt::format("{:.1f} GB/s", bytes_per_s * 1e-9);
  return fmt::format("{:.1f} MB/s", bytes_per_s * 1e-6);
}

std::string flops_text(double flops_per_s) {
  if (flops_per_s >= 1e12) return fmt::format("{:.2f} TFLOP/s", flops_per_s * 1e-12);
  return fmt::format("{:.1f} GFLOP/s", flops_per_s * 1e-9);
}

std::string time_text(double seconds) {
  if (seconds >= 1) return fmt::format("{:.2f} s", seconds);
  if (seconds >= 1e-3) return fmt::format("{:.2f} ms", seconds * 1e3);
  return fmt::format("{:.1f} us", seconds * 1e6);
}

std::string test_text(const BenchTest& test) {
  const std::string text = fmt::format("{} {}", name_of(test.kind), test.n_tokens);
  if (test.kind != BenchKind::decode) return text;
  return fmt::format("{} at {}{}", text, test.position, test.made_up_state ? ", synthesized" : "");
}

}  // namespace bitaxon::tool
