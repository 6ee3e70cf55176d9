// Tests of layers that compute every row alone.
#include "eager/row_layer.h"

#include <gtest/gtest.h>

#include <cmath>

#include "bitaxon/error.h"
#include "eager_tests/recorded_layers.h"
#include "support/backends.h"
#include "support/tensors.h"

namespace bitaxon::test {
namespace {

constexpr double kBound = 1e-5;  // bound on the relative L2 error, see tests/golden/README.md

std::vector<float> run(RowLayer& layer, std::int64_t n_rows, std::span<const float> x) {
  const std::span<const std::byte> inputs[] = {std::as_bytes(x)};
  return layer.run(n_rows, inputs);
}

/// The weights of a recorded layer of experts.
class RecordedExperts {
 public:
  explicit RecordedExperts(const std::string& name)
      : file_(Checkpoint::open(golden_dir() / "ops" / (name + ".safetensors"))) {}

  WeightHandle weight(const std::string& name, const Shape& shape) const {
    return packed_weight(cpu_device()->backend(), file_, "w." + name + ".weight", shape);
  }
  FeedForwardWeights feed_forward(const std::string& prefix, std::int64_t n) const {
    return {.gate = weight(prefix + ".gate_proj", {n, kI, kD}),
            .up = weight(prefix + ".up_proj", {n, kI, kD}),
            .down = weight(prefix + ".down_proj", {n, kD, kI})};
  }
  std::vector<float> recorded(const std::string& name) const { return read_f32(file_, name); }

  static constexpr std::int64_t kD = 32, kI = 64, kX = 4;

 private:
  Checkpoint file_;
};

TEST(RowLayer, ExpertsAgreeWithTheRecording) {
  const RecordedExperts recorded("moe_fp32");
  const auto layer = experts_layer(
      cpu_device(),
      {.router = recorded.weight("gate", {1, RecordedExperts::kX, RecordedExperts::kD}),
       .experts = recorded.feed_forward("switch_mlp", RecordedExperts::kX),
       .shared_gate = recorded.weight("shared_expert_gate", {1, 1, RecordedExperts::kD}),
       .shared = recorded.feed_forward("shared_expert", 1)},
      2);
  for (const std::int64_t n : {1, 31, 41}) {
    const std::string length = "L" + std::to_string(n);
    expect_close(run(*layer, n, recorded.recorded(length + ".x")), recorded.recorded(length + ".y"),
                 n, kBound, length);
  }
}

TEST(RowLayer, TheHalvesOfExpertsGiveTheWhole) {
  // One expert for each row: the product of its gate, which is 1 without other experts, and of the
  // two halves.
  const RecordedExperts recorded("moe_fp32");
  const auto x = recorded.recorded("L41.x");
  const FeedForwardWeights weights = recorded.feed_forward("shared_expert", 1);
  const auto whole = run(*feed_forward_layer(cpu_device(), weights), 41, x);
  const std::vector<std::int32_t> experts(41, 0);
  const std::span<const std::byte> inputs[] = {std::as_bytes(std::span(x)),
                                               std::as_bytes(std::span(experts))};
  const auto act = switch_swiglu_layer(cpu_device(), weights.gate, weights.up, 1)->run(41, inputs);
  const std::span<const std::byte> halves[] = {std::as_bytes(std::span(act)), inputs[1]};
  const auto y = switch_layer(cpu_device(), weights.down)->run(41, halves);
  expect_close(y, whole, 41, kBound, "y");
}

TEST(RowLayer, ManyRowsGiveTheBitsOfSingleRows) {
  const RecordedExperts recorded("moe_fp32");
  const auto some = recorded.recorded("L41.x");
  std::vector<float> x;
  constexpr std::int64_t kRows = 1100;
  while (x.size() < static_cast<std::size_t>(kRows * RecordedExperts::kD))
    x.insert(x.end(), some.begin(), some.end());
  x.resize(static_cast<std::size_t>(kRows * RecordedExperts::kD));
  const auto layer = feed_forward_layer(cpu_device(), recorded.feed_forward("shared_expert", 1));
  const auto y = run(*layer, kRows, x);
  for (const std::int64_t r : {0, 511, 512, 1023, 1024, 1099}) {
    const auto at = static_cast<std::size_t>(r * RecordedExperts::kD);
    const auto row = run(*layer, 1, std::span(x).subspan(at, RecordedExperts::kD));
    EXPECT_TRUE(std::equal(row.begin(), row.end(), y.begin() + static_cast<std::ptrdiff_t>(at)))
        << "row " << r;
  }
  EXPECT_TRUE(run(*layer, 0, {}).empty());
}

TEST(RowLayer, NormsAgreeWithTheRecording) {
  const Checkpoint file = Checkpoint::open(golden_dir() / "ops" / "rms_norm.safetensors");
  for (const std::int64_t d : {64, 256})
    for (const char* eps : {"1e-06", "0.01"}) {
      const std::string name = "d" + std::to_string(d) + ".fp32.eps" + eps;
      const auto layer = norm_layer(
          cpu_device(), packed_weight(cpu_device()->backend(), file, name + ".w", {1, 1, d}),
          std::stof(eps));
      expect_close(run(*layer, 6, read_f32(file, name + ".x")), read_f32(file, name + ".y"), 6,
                   kBound, name);
    }
}

TEST(RowLayer, LinearAddsItsBias) {
  const std::vector<float> matrix = {1, 2, 3, 4, 5, 6}, bias = {10, 20}, x = {1, 1, 1, 1, 0, 0};
  Backend& backend = cpu_device()->backend();
  const auto layer = linear_layer(cpu_device(), packed_weight(backend, {1, 2, 3}, matrix),
                                  packed_weight(backend, {1, 1, 2}, bias));
  EXPECT_EQ(run(*layer, 2, x), (std::vector<float>{16, 35, 11, 24}));
}

TEST(RowLayer, RefusesInputOfAnotherSize) {
  const std::vector<float> matrix(6, 1.0F), x(5, 1.0F);
  const auto layer = linear_layer(
      cpu_device(), packed_weight(cpu_device()->backend(), {1, 2, 3}, matrix), nullptr);
  EXPECT_THROW(run(*layer, 2, x), Error);
  EXPECT_THROW(layer->run(2, {}), Error);
}

TEST(RowLayer, RefusesWeightsThatDoNotFitEachOther) {
  const auto weight = [](const Shape& shape) {
    const std::vector<float> ones(static_cast<std::size_t>(shape.elements()), 1.0F);
    return packed_weight(cpu_device()->backend(), shape, ones);
  };
  const FeedForwardWeights three = {weight({3, 8, 4}), weight({3, 8, 4}), weight({3, 4, 8})};
  EXPECT_THROW(
      feed_forward_layer(cpu_device(), {weight({1, 8, 4}), weight({1, 8, 4}), weight({1, 5, 8})}),
      Error);
  EXPECT_THROW(
      experts_layer(
          cpu_device(),
          {.router = weight({1, 5, 4}), .experts = three, .shared_gate = nullptr, .shared = {}}, 2),
      Error)
      << "a router with more experts than there are";
  EXPECT_THROW(linear_layer(cpu_device(), weight({1, 8, 4}), weight({1, 1, 7})), Error);
}

TEST(RowLayer, RefusesAnExpertThatIsNotThere) {
  const std::vector<float> ones(24, 1.0F), x(8, 1.0F);
  const auto layer =
      switch_layer(cpu_device(), packed_weight(cpu_device()->backend(), {3, 2, 4}, ones));
  for (const std::int32_t bad : {-1, 3}) {
    const std::vector<std::int32_t> experts = {0, bad};
    const std::span<const std::byte> inputs[] = {std::as_bytes(std::span(x)),
                                                 std::as_bytes(std::span(experts))};
    EXPECT_THROW(layer->run(2, inputs), Error) << bad;
  }
}

}  // namespace
}  // namespace bitaxon::test
