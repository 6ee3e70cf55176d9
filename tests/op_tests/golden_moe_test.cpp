// Compares the expert ops and the matrix products with recorded results of the original program.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "bitaxon/ops.h"
#include "formats/weight_format.h"
#include "op_tests/step_session.h"
#include "support/backends.h"
#include "support/tensors.h"

namespace bitaxon::test {
namespace {

constexpr double kBound = 1e-5;     // bound on the relative L2 error, see tests/golden/README.md
constexpr double kNf4Bound = 1e-6;  // bound on the relative L2 error, see tests/golden/README.md

Checkpoint open_recorded(const std::string& name) {
  return Checkpoint::open(golden_dir() / "ops" / (name + ".safetensors"));
}

struct Recorded {
  const char* name;
  std::int64_t d_model, intermediate, n_experts;
};

void PrintTo(const Recorded& recorded, std::ostream* out) { *out << recorded.name; }

class GoldenMoe : public testing::TestWithParam<Recorded> {
 protected:
  static constexpr std::int64_t kTopK = 2;

  Tensor weight(const StepSession::Context& c, const std::string& name, const Shape& shape) {
    return c.graph.weight(
        packed_weight(reference_backend(), file_, "w." + name + ".weight", shape));
  }

  /// Runs the expert layer on the rows of x without a residual. Returns the experts, the gates and
  /// y.
  std::vector<std::vector<float>> run(std::span<const float> x) {
    const auto [name, d, n, experts] = GetParam();
    const std::vector<float> zeros(x.size(), 0.0F);
    const SessionInput inputs[] = {rows_of(x, d), rows_of(zeros, d)};
    StepSession session(reference_backend(), 1);
    return session.run(
        static_cast<std::uint32_t>(static_cast<std::int64_t>(x.size()) / d), inputs,
        [&, d = d, n = n, experts = experts](const StepSession::Context& c) {
          const auto route = moe_route(c.inputs[0], {}, 0, weight(c, "gate", {1, experts, d}),
                                       weight(c, "shared_expert_gate", {1, 1, d}), kTopK);
          const Tensor act =
              moe_swiglu(route.normed, route.experts,
                         {.gate = weight(c, "switch_mlp.gate_proj", {experts, n, d}),
                          .up = weight(c, "switch_mlp.up_proj", {experts, n, d}),
                          .shared_gate = weight(c, "shared_expert.gate_proj", {1, n, d}),
                          .shared_up = weight(c, "shared_expert.up_proj", {1, n, d})});
          const Tensor y = moe_down(act, route.experts, route.gates,
                                    weight(c, "switch_mlp.down_proj", {experts, d, n}),
                                    weight(c, "shared_expert.down_proj", {1, d, n}), c.inputs[1]);
          return std::vector{route.experts, route.gates, y};
        });
  }

  Checkpoint file_ = open_recorded(GetParam().name);
};

TEST_P(GoldenMoe, AgreesWithTheRecordingForEveryLength) {
  for (const std::size_t n : {1U, 31U, 32U, 41U}) {
    const std::string length = fmt::format("L{}", n);
    const auto out = run(read_f32(file_, length + ".x"));
    expect_close(out[2], read_f32(file_, length + ".y"), static_cast<std::int64_t>(n), kBound,
                 length + ".y");
    const auto gates = read_f32(file_, length + ".gates");
    const auto by_id = read_i32(file_, length + ".topk_ascending_id");
    const auto n_experts = static_cast<std::size_t>(GetParam().n_experts);
    std::vector<float> ours, recorded;
    for (std::size_t r = 0; r < n; ++r) {
      std::array<std::int32_t, kTopK> experts{};
      std::memcpy(experts.data(), out[0].data() + r * kTopK, sizeof(experts));
      for (std::size_t k = 0; k < kTopK; ++k) {
        ours.push_back(out[1][r * (kTopK + 1) + k]);
        recorded.push_back(gates[r * n_experts + static_cast<std::size_t>(experts[k])]);
      }
      EXPECT_GE(recorded[r * kTopK], recorded[r * kTopK + 1])
          << "the largest gate is not first in row " << r;
      std::ranges::sort(experts);
      EXPECT_TRUE(std::equal(experts.begin(), experts.end(),
                             by_id.begin() + static_cast<std::ptrdiff_t>(r * kTopK)))
          << length << ", row " << r;
    }
    expect_close(ours, recorded, static_cast<std::int64_t>(n), kBound, length + ".gates");
  }
}

INSTANTIATE_TEST_SUITE_P(Recorded, GoldenMoe,
                         testing::Values(Recorded{"moe_fp32", 32, 64, 4},
                                         Recorded{"moe_switch_fp16", 32, 64, 8},
                                         Recorded{"moe_q4_g32", 64, 96, 8}),
                         [](const auto& test) { return std::string(test.param.name); });

/// The product x @ W.T, computed by the op `linear`.
std::vector<float> product(const std::shared_ptr<const Weight>& weight, std::span<const float> x,
                           const std::shared_ptr<const Weight>& norm = nullptr, float eps = 0) {
  StepSession session(reference_backend(), 1);
  const std::int64_t cols = weight->shape[2];
  const SessionInput inputs[] = {rows_of(x, cols)};
  return session.run(static_cast<std::uint32_t>(static_cast<std::int64_t>(x.size()) / cols), inputs,
                     [&](const StepSession::Context& c) {
                       LinearOptions options;
                       if (norm != nullptr) options.norm = c.graph.weight(norm);
                       options.eps = eps;
                       return std::vector{linear(c.inputs[0], c.graph.weight(weight), options)};
                     })[0];
}

/// The product of row i of x and matrix ids[i] of a stack, computed by the op `moe_down`.
std::vector<float> stack_product(const std::shared_ptr<const Weight>& stack,
                                 std::span<const float> x, std::span<const std::int32_t> ids) {
  StepSession session(reference_backend(), 1);
  const std::int64_t rows = stack->shape[1];
  const std::vector<float> gates(ids.size() * 2, 1.0F);
  const std::vector<float> zeros(ids.size() * static_cast<std::size_t>(rows), 0.0F);
  const SessionInput inputs[] = {
      {DType::f32, {1, stack->shape[2]}, std::as_bytes(x)},
      {DType::i32, {1}, std::as_bytes(ids)},
      rows_of(gates, 2),
      rows_of(zeros, rows),
  };
  return session.run(static_cast<std::uint32_t>(ids.size()), inputs,
                     [&](const StepSession::Context& c) {
                       return std::vector{moe_down(c.inputs[0], c.inputs[1], c.inputs[2],
                                                   c.graph.weight(stack), {}, c.inputs[3])};
                     })[0];
}

/// Reads a 4-bit matrix from a file quant_g*.safetensors. The tensor names in these files differ
/// from those of a model.
std::shared_ptr<const Weight> quantized(const Checkpoint& file, const std::string& prefix,
                                        std::int64_t group_size) {
  const StoredShape packed = info_of(file, prefix + ".packed").shape;
  const bool stack = packed.rank() == 3;
  WeightDesc desc;
  desc.name = prefix;
  desc.format = WeightFormat::affine;
  desc.n_matrices = stack ? packed[0] : 1;
  desc.rows = packed[packed.rank() - 2];
  desc.cols = packed[packed.rank() - 1] * 8;
  desc.dtype = info_of(file, prefix + ".scales").dtype.dtype().value();
  desc.bias_dtype = info_of(file, prefix + ".biases").dtype.dtype().value();
  desc.group_size = group_size;
  const auto data = read_bytes(file, prefix + ".packed");
  const auto scales = read_bytes(file, prefix + ".scales");
  const auto biases = read_bytes(file, prefix + ".biases");
  return reference_backend().pack(desc, {.data = data, .scales = scales, .biases = biases});
}

TEST(GoldenProducts, Affine4ProductsAgreeWithTheRecording) {
  for (std::int64_t group_size : {32, 64, 128}) {
    const Checkpoint file = open_recorded(fmt::format("quant_g{}", group_size));
    for (const std::string dtype : {"fp32", "fp16", "bf16"})
      expect_close(product(quantized(file, dtype, group_size), read_f32(file, dtype + ".x")),
                   read_f32(file, dtype + ".y_exact"), 5, kBound,
                   fmt::format("group {}, {}.y_exact", group_size, dtype));
    const auto ids = read_i32(file, "experts.ids");
    expect_close(
        stack_product(quantized(file, "experts", group_size), read_f32(file, "experts.x"), ids),
        read_f32(file, "experts.y"), static_cast<std::int64_t>(ids.size()), kBound,
        fmt::format("group {}, experts.y", group_size));
  }
}

TEST(GoldenProducts, Nf4ProductsAgreeWithTheRecording) {
  const Checkpoint file = open_recorded("nf4");
  for (const std::string name : {"plain", "block128", "nested"}) {
    const std::string tensor = name + ".weight";
    const Shape shape(info_of(file, tensor + ".dequantized").shape);
    const auto weight = packed_weight(reference_backend(), file, tensor, {1, shape[0], shape[1]});
    EXPECT_EQ(weight->format, name == "plain"      ? "nf4_g64"
                              : name == "block128" ? "nf4_g128"
                                                   : "nf4_g64_nested");
    expect_close(product(weight, read_f32(file, tensor + ".x")), read_f32(file, tensor + ".y"), 3,
                 kNf4Bound, name);
  }
}

TEST(GoldenProducts, Nf4ExpertProductsAgreeWithTheRecording) {
  const Checkpoint file = open_recorded("nf4");
  const Shape shape(info_of(file, "experts.weight.dequantized").shape);
  const auto stack = packed_weight(reference_backend(), file, "experts.weight", shape);
  const auto expected = read_f32(file, "experts.weight.y");
  const auto rows = static_cast<std::size_t>(shape[1]);
  for (std::int32_t e = 0; e < 3; ++e) {
    const std::int32_t ids[] = {e, e, e};
    expect_close(stack_product(stack, read_f32(file, "experts.weight.x"), ids),
                 std::span(expected).subspan(static_cast<std::size_t>(e) * 3 * rows, 3 * rows), 3,
                 kNf4Bound, fmt::format("expert {}", e));
  }
}

TEST(GoldenProducts, RmsNormAgreesWithTheRecording) {
  const Checkpoint file = open_recorded("rms_norm");
  for (std::int64_t d : {64, 256})
    for (const std::string dtype : {"fp32", "fp16", "bf16"})
      for (const char* eps : {"1e-06", "0.01"}) {
        const std::string name = fmt::format("d{}.{}.eps{}", d, dtype, eps);
        SCOPED_TRACE(name);
        std::vector<float> identity(static_cast<std::size_t>(d * d), 0.0F);
        for (std::int64_t i = 0; i < d; ++i) identity[static_cast<std::size_t>(i * d + i)] = 1;
        const auto y = product(
            packed_weight(reference_backend(), {1, d, d}, identity), read_f32(file, name + ".x"),
            packed_weight(reference_backend(), file, name + ".w", {1, 1, d}), std::stof(eps));
        const auto expected = read_f32(file, name + ".y");
        if (dtype == "fp32") {
          expect_close(y, expected, 6, kBound, name);
          continue;
        }
        // The original program rounded x / rms, and then the product. Each rounding has an error of
        // at most half a step. The size of a step is proportional to the value, or 2^-24 near zero.
        const double step = dtype == "fp16" ? 0x1p-10 : 0x1p-7;
        for (std::size_t i = 0; i < y.size(); ++i)
          EXPECT_NEAR(y[i], expected[i],
                      1.01 * step * std::abs(static_cast<double>(y[i])) + 0x1p-23)
              << i;
      }
}

}  // namespace
}  // namespace bitaxon::test
