// Tests of what a benchmark needs from the library: random 4-bit weights, synthesized states, the
// work of a step, the times of its ops, and the rates of a device.
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "cpu/cpu_backend.h"
#include "support/errors.h"
#include "support/small_models.h"
#include "support/tensors.h"

namespace bitaxon::test {
namespace {

LoadOptions codes_of(const std::string& format) {
  LoadOptions options;
  options.quantize = format;
  return options;
}

std::vector<float> logits_of(Model& model, State& state, std::span<const std::int32_t> ids) {
  std::vector<float> logits(static_cast<std::size_t>(model.spec().vocab_size));
  model.feed(state, ids, StepOutput::last_logits);
  model.read_logits(logits);
  return logits;
}

bool all_finite(const std::vector<float>& values) {
  return std::ranges::all_of(values, [](float x) { return std::isfinite(x); });
}

TEST(RandomCodes, AreReproducible4BitWeights) {
  const auto backend = cpu::open_cpu_backend({});
  const std::int32_t ids[] = {1, 2, 3};
  for (const auto& [format, name] : {std::pair("mlx", "q4_affine_g64"), {"nf4", "nf4_g64"}}) {
    SCOPED_TRACE(format);
    std::vector<float> before;
    for (int i = 0; i < 2; ++i) {
      Model model =
          Model::random_codes(backend, BitAxonConfig::small().spec(), 7, codes_of(format));
      EXPECT_EQ(model.main_format(), name);
      State state = model.new_state();
      std::vector<float> logits = logits_of(model, state, ids);
      EXPECT_TRUE(all_finite(logits));
      if (i > 0) {
        EXPECT_TRUE(same_bits(logits, before));
      }
      before = std::move(logits);
    }
  }
  EXPECT_THROW(Model::random_codes(backend, BitAxonConfig::small().spec(), 7, codes_of("int8")),
               Error);
}

TEST(SynthesizedState, DependsOnPositionAndSeed) {
  const auto backend = cpu::open_cpu_backend({});
  LoadOptions options;
  options.n_slots = 2;
  Model model = Model::random(backend, small_config().spec(), 1, options);
  const std::int64_t window = small_config().window();
  const std::int32_t ids[] = {1};
  for (const std::int64_t position : {std::int64_t{0}, std::int64_t{3}, window, window + 5}) {
    SCOPED_TRACE(position);
    State state = model.new_state(), other = model.new_state();
    state.synthesize(position, 5);
    other.synthesize(position, 5);
    EXPECT_EQ(state.position(), position);
    EXPECT_FALSE(state.has_sampled_token());
    const StateSnapshot snapshot = state.snapshot();
    EXPECT_EQ(other.snapshot(), snapshot);
    other.restore(snapshot);
    EXPECT_EQ(other.snapshot(), snapshot);
    other.synthesize(position, 6);
    EXPECT_EQ(other.snapshot() == snapshot, position == 0);
    EXPECT_TRUE(all_finite(logits_of(model, state, ids)));
    EXPECT_EQ(state.position(), position + 1);
  }
  State state = model.new_state();
  const std::int64_t beyond = model.spec().max_seq_len + 1;
  for (const std::int64_t position : {beyond, std::int64_t{-1}})
    EXPECT_THROW(state.synthesize(position, 5), Error);
}

TEST(Work, GrowsWithRowsPositionsAndSegments) {
  const auto backend = cpu::open_cpu_backend({});
  LoadOptions options;
  options.n_slots = 2;
  Model model = Model::random(backend, small_config().spec(), 1, options);
  const UniformStep none{StepOutput::none}, last{StepOutput::last_logits};
  const StepWork one = model.work(1, 1, 0, last);
  EXPECT_GT(one.stored_bytes, 0);
  // A step reads only some rows of the embedding, and only the chosen experts.
  EXPECT_LE(one.stored_bytes, static_cast<std::int64_t>(model.packed_bytes()));
  EXPECT_LT(model.work(1, 1, 0, none).stored_bytes, one.stored_bytes);
  const StepWork deep = model.work(1, 1, 3, last);
  EXPECT_GT(deep.stored_bytes, one.stored_bytes);
  EXPECT_GT(deep.flops, one.flops);
  const StepWork two = model.work(1, 2, 0, last);
  EXPECT_EQ(two.flops, 2 * one.flops);
  EXPECT_LT(two.stored_bytes, 2 * one.stored_bytes);
  EXPECT_GT(model.work(4, 1, 0, last).flops, model.work(3, 1, 0, last).flops);
  EXPECT_THROW(model.work(0, 1, 0, last), Error);
  EXPECT_THROW(model.work(1024, 1, 0, last), Error);
}

TEST(OpTimes, BelongToTheLatestStepIfRequested) {
  const auto backend = cpu::open_cpu_backend({});
  Model model = Model::random(backend, small_config().spec(), 1, {});
  State state = model.new_state();
  const std::int32_t ids[] = {1, 2, 3};
  const std::vector<float> before = logits_of(model, state, ids);
  EXPECT_TRUE(backend->last_step_times().empty());
  model.measure_ops(true);
  state.reset();
  EXPECT_TRUE(same_bits(logits_of(model, state, ids), before));
  const std::vector<OpTime> times = backend->last_step_times();
  EXPECT_EQ(times.size(), backend->last_step().dispatches);
  std::set<std::string> ops;
  for (const OpTime& time : times) {
    ops.insert(time.op);
    EXPECT_GE(time.time_ns, 0) << time.label;
    EXPECT_GT(time.bytes, 0) << time.label;
    EXPECT_NE(time.label.find(time.op), std::string::npos) << time.label;
  }
  EXPECT_TRUE(ops.contains("linear") && ops.contains("attention"));
  model.measure_ops(false);
  logits_of(model, state, ids);
  EXPECT_TRUE(backend->last_step_times().empty());
}

TEST(Rates, OfTheCpuArePositive) {
  const auto backend = cpu::open_cpu_backend({.n_threads = 1});
  const DeviceRates rates = backend->measure_rates();
  EXPECT_GT(rates.read_bytes_per_s, 1e6);
  EXPECT_GT(rates.f32_flops_per_s, 1e6);
}

}  // namespace
}  // namespace bitaxon::test
