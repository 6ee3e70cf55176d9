// How fast a model is on devices: what is measured, and what it is held against.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "bitaxon/model.h"

namespace bitaxon::tool {

enum class BenchKind : std::uint8_t {
  prefill,      ///< a prompt, and the logits of its last row only
  first_token,  ///< a prompt, and the token that is sampled after it
  decode,       ///< tokens one after the other, each sampled from the one before
};
std::string_view name_of(BenchKind kind);

/// What is run, with each sequence of the batch.
struct BenchTest {
  BenchKind kind = BenchKind::prefill;
  std::int64_t n_tokens = 0;   ///< that are fed; decode: that are sampled
  std::int64_t position = 0;   ///< of the first one
  bool made_up_state = false;  ///< what is before `position` was never fed
};

struct BenchWish {
  std::vector<std::int64_t> seq_lengths;
  std::vector<std::int64_t> depths;  ///< where decoding begins; 0: after each of the prompts
  std::int64_t batch_size = 1;
  std::int64_t n_warmup = 2;
  std::int64_t n_iterations = 5;
  std::int64_t n_decode_tokens = 128;
  bool profile = false;
};

/// In the order in which they are run: decoding goes on where the first token before it ended.
std::vector<BenchTest> tests_of(const BenchWish& wish);
/// Throws UsageError for a test that ends beyond the longest sequence of the model.
void check_lengths(const std::vector<BenchTest>& tests, const Config& config);

/// Of one or several runs of the same.
struct Spread {
  double median = 0, min = 0, max = 0;
  std::size_t n = 0;

  /// Slowest less fastest, relative to the median; of one run there is none.
  std::optional<double> relative() const;
};
/// The median of an even number of values lies between the middle two. Of at least one.
Spread spread_of(std::vector<double> values);

/// What a device reached in measurements between the rounds. Its limits are the best: what disturbs
/// the machine while one is taken then lowers no limit, and flatters no share.
struct RateRange {
  DeviceRates best, worst;  ///< 0: never measured
  int n_measured = 0;

  /// A rate that was not measured this time leaves the others as they are.
  void add(const DeviceRates& rates);
};

/// What is the least time that a device's rates leave for a test: of each step the longer one of
/// reading its bytes and computing its operations.
struct BenchLimit {
  double seconds = 0;
  bool by_reading = true;  ///< reading takes longer than computing, over all steps
};

struct BenchRecord {
  BenchTest test;
  Spread seconds;                     ///< of the whole test
  std::int64_t n_tokens = 0;          ///< of all sequences
  StepWork work;                      ///< of all steps
  std::optional<BenchLimit> limit;    ///< empty: the device's rates were not measured
  std::optional<double> temperature;  ///< degrees Celsius after the last run

  double tokens_per_sec() const { return static_cast<double>(n_tokens) / seconds.median; }
  std::optional<double> limit_tokens_per_sec() const {
    return limit ? std::optional(static_cast<double>(n_tokens) / limit->seconds) : std::nullopt;
  }
  /// Of the time that passed, what the limit needs: 1 is the best there can be.
  std::optional<double> limit_share() const {
    return limit ? std::optional(limit->seconds / seconds.median) : std::nullopt;
  }
  /// Of one token when decoding, else of the prompt.
  double latency_seconds(double of_test) const {
    return test.kind == BenchKind::decode ? of_test / static_cast<double>(test.n_tokens) : of_test;
  }
};

/// All launches of an op in one step.
struct ProfiledOp {
  std::string op;
  std::int64_t calls = 0;
  double time_us = 0;
  std::int64_t bytes = 0;  ///< from and to memory, activations included
  std::int64_t flops = 0;

  double bytes_per_sec() const { return static_cast<double>(bytes) / time_us * 1e6; }
};
struct BenchProfile {
  BenchKind kind = BenchKind::decode;
  std::int64_t n_rows = 0;      ///< of each sequence
  std::int64_t position = 0;    ///< of the first of them
  std::vector<ProfiledOp> ops;  ///< longest first; empty where the device cannot tell

  double time_us() const;
  /// Nothing is fed for a profile but its own rows.
  bool has_made_up_state() const { return position > 0; }
};

struct BenchedDevice {
  std::string selector;  ///< as named
  std::string backend, name, driver;
  int n_threads = 0;
  Precision precision = Precision::exact;
  std::string format;  ///< of most of the weights
  /// Reserved; of a state, some may never have been touched.
  std::uint64_t weight_bytes = 0, state_bytes = 0, activation_bytes = 0;
  /// Now and at most, of what the device was asked for; on the CPU, of what is resident of the
  /// process.
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

/// A model on a device, and what that was called. The model has slots for a batch.
struct BenchSubject {
  std::string selector;
  Model* model = nullptr;
};

/// Runs every test on every device in turn, again and again, and measures the devices' rates in
/// between, so that what disturbs the machine disturbs all alike.
std::vector<BenchedDevice> measure(
    std::span<const BenchSubject> subjects, const BenchWish& wish,
    const std::function<void(std::uint64_t done, std::uint64_t total)>& on_progress);

}  // namespace bitaxon::tool
