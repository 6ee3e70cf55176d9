// Measures the speed of a model on devices, and computes the best speed that the devices allow.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "bitaxon/backend.h"
#include "bitaxon/export.h"
#include "bitaxon/model.h"

namespace bitaxon {

enum class BenchKind : std::uint8_t {
  prefill,      ///< a prompt, and the logits of its last row only
  first_token,  ///< a prompt, and the token that is sampled after it
  decode,       ///< one token after the other, fed back as soon as it is sampled
};
BX_API std::string_view name_of(BenchKind kind);

/// One test of a benchmark. Every sequence of the batch runs it.
struct BenchTest {
  BenchKind kind = BenchKind::prefill;
  std::int64_t n_tokens = 0;   ///< tokens to feed; in a decode test, tokens to sample
  std::int64_t position = 0;   ///< position of the first token
  bool made_up_state = false;  ///< the state before `position` is synthesized, not fed
};

struct BenchWish {
  std::vector<std::int64_t> seq_lengths;
  std::vector<std::int64_t> depths;  ///< positions where decoding begins; 0 means after each prompt
  std::int64_t batch_size = 1;
  std::int64_t n_warmup = 2;
  std::int64_t n_iterations = 5;
  std::int64_t n_decode_tokens = 128;
  bool profile = false;
};

/// The tests in the order in which they run. A decode test at depth 0 follows the first_token test
/// of its prompt and continues that state.
BX_API std::vector<BenchTest> tests_of(const BenchWish& wish);
/// Throws Error(invalid_argument) for a test that ends beyond the longest sequence of the model.
BX_API void check_lengths(const std::vector<BenchTest>& tests, const ModelSpec& spec);

/// The median and the range of a quantity that was measured once or several times.
struct BX_API Spread {
  double median = 0, min = 0, max = 0;
  std::size_t n = 0;

  /// (max - min) / median. Empty for fewer than two values.
  std::optional<double> relative() const;
};
/// The spread of at least one value. For an even number of values, the median is the mean of the
/// middle two.
BX_API Spread spread_of(std::vector<double> values);

/// The best and the worst rates of a device, from measurements between the rounds of a benchmark.
/// The limits of tests are computed from the best rates. So a disturbance while rates are measured
/// neither lowers a limit nor raises a BenchRecord::limit_share().
struct BX_API RateRange {
  DeviceRates best, worst;  ///< 0 for a rate that was never measured
  int n_measured = 0;

  /// Adds one measurement. A rate of 0 in `rates` was not measured and is ignored.
  void add(const DeviceRates& rates);
  /// Adds the measurements of another range.
  void add(const RateRange& more);
};

/// What the time of a step is compared with.
enum class BenchRate : std::uint8_t {
  read,      ///< its bytes at DeviceRates::read_bytes_per_s
  float32,   ///< its operations at DeviceRates::f32_flops_per_s
  matrix,    ///< its operations at DeviceRates::matrix_flops_per_s, where matrix units compute
  launches,  ///< its dispatches, each at DeviceRates::dispatch_s
};
inline constexpr std::size_t kBenchRates = 4;
BX_API std::string_view name_of(BenchRate rate);

/// The shortest time that a test can take at the device's rates. A step takes at least the longest of
/// three times: to read its bytes, to compute its operations, and to launch its dispatches, one behind
/// the other. The limit is the sum over the steps.
struct BenchLimit {
  double seconds = 0;
  BenchRate rate = BenchRate::read;  ///< takes the longest time, summed over all steps
};

struct BenchRecord {
  BenchTest test;
  Spread seconds;                     ///< time of the whole test
  std::int64_t n_tokens = 0;          ///< tokens of all sequences
  StepWork work;                      ///< work of all steps
  std::size_t n_dispatches = 0;       ///< dispatches of the last step; on a CPU, nodes
  std::optional<BenchLimit> limit;    ///< empty if the device's rates were not measured
  std::optional<double> temperature;  ///< degrees Celsius after the last run
  /// The time of all steps at each rate alone, with a BenchRate as index. 0 if the rate was not
  /// measured, or does not count in this test.
  std::array<double, kBenchRates> seconds_at = {};

  double tokens_per_sec() const { return static_cast<double>(n_tokens) / seconds.median; }
  std::optional<double> limit_tokens_per_sec() const {
    return limit ? std::optional(static_cast<double>(n_tokens) / limit->seconds) : std::nullopt;
  }
  /// The time of the limit divided by the measured time. The best possible value is 1.
  std::optional<double> limit_share() const {
    return limit ? std::optional(limit->seconds / seconds.median) : std::nullopt;
  }
  /// The time at one rate alone divided by the measured time. Empty where seconds_at is 0.
  std::optional<double> share_of(BenchRate rate) const {
    const double at_rate = seconds_at[static_cast<std::size_t>(rate)];
    return at_rate > 0 ? std::optional(at_rate / seconds.median) : std::nullopt;
  }
  /// The latency in a run that took `of_test` seconds: the time of one token in a decode test, else
  /// the time of the whole prompt.
  double latency_seconds(double of_test) const {
    return test.kind == BenchKind::decode ? of_test / static_cast<double>(test.n_tokens) : of_test;
  }
};

/// All launches of an op in one step.
struct ProfiledOp {
  std::string op;
  std::int64_t calls = 0;
  double time_us = 0;
  std::int64_t bytes = 0;  ///< moved from and to memory, with activations
  std::int64_t flops = 0;

  double bytes_per_sec() const { return static_cast<double>(bytes) / time_us * 1e6; }
};
/// The launches of steps by their ops, longest time first.
BX_API std::vector<ProfiledOp> profiled_ops(const std::vector<OpTime>& times);

struct BX_API BenchProfile {
  BenchKind kind = BenchKind::decode;
  std::int64_t n_rows = 0;      ///< rows of each sequence
  std::int64_t position = 0;    ///< position of the first row
  std::vector<ProfiledOp> ops;  ///< longest time first; empty if the device cannot measure ops

  double time_us() const;
  /// Whether the state before the profiled rows is synthesized. A profile feeds only its own rows.
  bool has_made_up_state() const { return position > 0; }
};

struct BenchedDevice {
  std::string selector;  ///< as on the command line
  std::string backend, name, driver;
  int n_threads = 0;
  Precision precision = Precision::exact;
  std::string format;  ///< format of most of the weights
  /// The reserved memory. Some of the state's memory may never have been used.
  std::uint64_t weight_bytes = 0, state_bytes = 0, activation_bytes = 0;
  /// The memory that is requested from the device, now and at its peak. On the CPU, the resident
  /// memory of the process.
  std::uint64_t active_bytes = 0, peak_bytes = 0;
  RateRange rates;
  std::vector<BenchRecord> records;
  std::vector<BenchProfile> profiles;
};

struct Benchmark {
  std::string model;
  BenchWish wish;
  std::vector<BenchedDevice> devices;
};

/// A model on a device, with the name of the device. The model has a slot for each sequence of a
/// batch.
struct BenchSubject {
  std::string selector;
  Model* model = nullptr;
};

/// Runs every test on every device in turn, repeatedly, and measures the rates of the devices in
/// between. A disturbance of the machine then affects all devices alike. Returns nothing if the call
/// was interrupted, which it notices between two steps.
BX_API std::vector<BenchedDevice> measure(
    std::span<const BenchSubject> subjects, const BenchWish& wish,
    const std::function<void(std::uint64_t done, std::uint64_t total)>& on_progress = {},
    const std::atomic<bool>* interrupted = nullptr);
/// Computes the limits of a device's records from its best rates, as measure() does. For rates that
/// were added afterwards. `model` and `wish` are those that were measured.
BX_API void set_limits(Model& model, const BenchWish& wish, BenchedDevice& device);

}  // namespace bitaxon
