// Tests of the library functions that measure a model. cli_tests has the tests of the reports.
#include "bitaxon/benchmark.h"

#include <gtest/gtest.h>

#include "bitaxon/session.h"
#include "support/errors.h"

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
