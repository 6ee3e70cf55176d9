// Tests of the library functions that measure a model. cli_tests has the tests of the reports.
#include "bitaxon/benchmark.h"

#include <gtest/gtest.h>

#include "bitaxon/session.h"
#include "support/errors.h"
#include "support/wrapped_backend.h"

namespace bitaxon::test {
namespace {

TEST(Benchmark, RunsEveryTestOnEveryDevice) {
  Session cpu = open_session({.preset = "small"}, "cpu", {.n_slots = 2});
  Session reference = open_session({.preset = "small"}, "reference", {.n_slots = 2});
  const BenchSubject subjects[] = {{"cpu", &cpu.model}, {"reference", &reference.model}};
  const BenchWish wish{.seq_lengths = {3},
                       .depths = {0},
                       .batch_size = 2,
                       .n_warmup = 0,
                       .n_iterations = 1,
                       .n_decode_tokens = 2};
  const std::vector<BenchedDevice> devices = measure(subjects, wish);
  ASSERT_EQ(devices.size(), 2U);
  for (const BenchedDevice& device : devices) {
    ASSERT_EQ(device.records.size(), tests_of(wish).size());
    EXPECT_EQ(device.records[0].n_tokens, 6);
    for (const BenchRecord& record : device.records) {
      EXPECT_GT(record.seconds.median, 0);
      EXPECT_GT(record.work.flops, 0);
    }
  }
}

/// The records of a prefill of 4 tokens and of decoding 2, on a device with these rates and 10
/// dispatches in a step.
std::vector<BenchRecord> records_with(const DeviceRates& rates, Precision precision) {
  const auto device = std::make_shared<WrappedBackend>(open_device("cpu").backend);
  device->rates = rates;
  device->counts = {.dispatches = 10, .submissions = 1};
  LoadOptions load;
  load.precision = precision;
  Session session = load_session(find_model({.preset = "small", .random_codes = true}),
                                 {.backend = device, .reason = {}}, load);
  const BenchSubject subject{"gpu", &session.model};
  return measure({&subject, 1}, {.seq_lengths = {4},
                                 .depths = {0},
                                 .n_warmup = 0,
                                 .n_iterations = 1,
                                 .n_decode_tokens = 2})
      .front()
      .records;
}

double at(const BenchRecord& record, BenchRate rate) {
  return record.seconds_at[static_cast<std::size_t>(rate)];
}

TEST(BenchmarkLimits, FastPrefillIsLimitedByMatrixUnits) {
  const DeviceRates rates = {.read_bytes_per_s = 1e15,
                             .f32_flops_per_s = 1e9,
                             .dispatch_s = 1e-9,
                             .matrix_flops_per_s = 4e9};
  const auto fast = records_with(rates, Precision::fast);
  ASSERT_EQ(fast.size(), 3U);
  const BenchRecord &prefill = fast[0], &decode = fast[2];
  ASSERT_TRUE(prefill.limit && decode.limit);
  EXPECT_EQ(prefill.limit->rate, BenchRate::matrix);
  EXPECT_DOUBLE_EQ(prefill.limit->seconds, static_cast<double>(prefill.work.flops) / 4e9);
  EXPECT_EQ(prefill.share_of(BenchRate::matrix), prefill.limit_share());
  EXPECT_EQ(prefill.share_of(BenchRate::float32), std::nullopt);
  // A step of one row uses no matrix units.
  EXPECT_EQ(decode.limit->rate, BenchRate::float32);
  EXPECT_DOUBLE_EQ(at(decode, BenchRate::float32), static_cast<double>(decode.work.flops) / 1e9);
  EXPECT_EQ(at(decode, BenchRate::matrix), 0);
  EXPECT_EQ(records_with(rates, Precision::exact)[0].limit->rate, BenchRate::float32);
}

TEST(BenchmarkLimits, DecodingIsLimitedByLaunches) {
  const auto records = records_with(
      {.read_bytes_per_s = 1e15, .f32_flops_per_s = 1e15, .dispatch_s = 1e-3}, Precision::fast);
  const BenchRecord &prefill = records[0], &decode = records[2];
  EXPECT_EQ(decode.limit->rate, BenchRate::launches);
  EXPECT_DOUBLE_EQ(decode.limit->seconds, 2 * 10 * 1e-3);  // two steps of ten dispatches
  EXPECT_DOUBLE_EQ(at(prefill, BenchRate::launches), 10 * 1e-3);
  EXPECT_EQ(decode.n_dispatches, 10U);
  EXPECT_EQ(name_of(decode.limit->rate), "launches");
}

TEST(BenchmarkLimits, ADeviceWithoutDispatchesReads) {
  const auto records =
      records_with({.read_bytes_per_s = 1e6, .f32_flops_per_s = 1e15}, Precision::fast);
  EXPECT_EQ(records[2].limit->rate, BenchRate::read);
  EXPECT_EQ(at(records[2], BenchRate::launches), 0);
}

TEST(Benchmark, EndsWhenInterrupted) {
  Session session = open_session({.preset = "small"}, "cpu", {});
  const BenchSubject subject{"cpu", &session.model};
  const BenchWish wish{.seq_lengths = {3}, .depths = {0}, .n_iterations = 1000};
  std::atomic<bool> interrupted = false;
  std::uint64_t n_done = 0;
  const auto on_progress = [&](std::uint64_t done, std::uint64_t) {
    n_done = done;
    interrupted = done == 4;
  };
  EXPECT_TRUE(measure({&subject, 1}, wish, on_progress, &interrupted).empty());
  EXPECT_EQ(n_done, 4U);
}

TEST(Benchmark, RefusesATestBeyondTheLongestSequence) {
  const BenchWish wish{.seq_lengths = {1 << 30}, .depths = {0}};
  expect_error([&] { check_lengths(tests_of(wish), preset_spec("small")); },
               ErrorKind::invalid_argument, {"prefill of 1073741824 tokens", "max_seq_len"});
}

TEST(BenchmarkRates, KeepsTheBestAndTheWorstRate) {
  RateRange rates;
  for (const double factor : {2.0, 1.0, 3.0})
    rates.add({.read_bytes_per_s = factor, .f32_flops_per_s = 10 / factor, .dispatch_s = factor});
  EXPECT_EQ(rates.n_measured, 3);
  EXPECT_EQ(rates.best.read_bytes_per_s, 3);
  EXPECT_EQ(rates.worst.read_bytes_per_s, 1);
  EXPECT_EQ(rates.best.f32_flops_per_s, 10);
  EXPECT_EQ(rates.best.dispatch_s, 1);  // the best time is the shortest
  EXPECT_EQ(rates.worst.dispatch_s, 3);
}

TEST(BenchmarkRates, AMissingRateChangesNothing) {
  RateRange rates;
  for (const double rate : {0.0, 2.0, 0.0, 1.0})
    rates.add({.read_bytes_per_s = rate, .f32_flops_per_s = 5, .dispatch_s = rate});
  EXPECT_EQ(rates.best.read_bytes_per_s, 2);
  EXPECT_EQ(rates.worst.read_bytes_per_s, 1);
  EXPECT_EQ(rates.worst.f32_flops_per_s, 5);
  EXPECT_EQ(rates.best.dispatch_s, 1);
}

TEST(BenchmarkSpread, HandlesOddAndEvenCounts) {
  const auto expect = [](std::vector<double> values, double median, double min, double max) {
    const Spread spread = spread_of(std::move(values));
    EXPECT_EQ(spread.median, median);
    EXPECT_EQ(spread.min, min);
    EXPECT_EQ(spread.max, max);
  };
  EXPECT_EQ(spread_of({4}).relative(), std::nullopt);
  EXPECT_EQ(spread_of({4, 2, 3}).relative(), 2.0 / 3);
  expect({4}, 4, 4, 4);
  expect({3, 1, 2}, 2, 1, 3);
  expect({9, 1, 2, 4}, 3, 1, 9);
}

}  // namespace
}  // namespace bitaxon::test
