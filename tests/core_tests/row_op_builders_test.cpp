// Checks that the builders of the ops on rows, on adapters and on vectors refuse invalid arguments.
#include <gtest/gtest.h>

#include <limits>

#include "bitaxon/training_ops.h"
#include "core_tests/op_builders.h"

namespace bitaxon::test {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

class RowOpBuilders : public OpBuilders {
 protected:
  Tensor output_rows(std::int64_t cols, std::int64_t n = 4) {
    return graph_->input(DType::f32, {n, cols}, RowSpace::outputs);
  }
};

TEST_F(RowOpBuilders, AddRefusesInvalidArguments) {
  EXPECT_EQ(add(output_rows(8), output_rows(8)).row_space(), RowSpace::outputs);
  expect_refused([&] { add({}, rows(8)); }, "add", "a", "a tensor", "an empty handle");
  expect_refused([&] { add(integers(8), rows(8)); }, "add", "a", "an activation F32", "I32 [4, 8]");
  expect_refused([&] { add(rows(8), rows(7)); }, "add", "b", "an activation F32 [4, 8]",
                 "F32 [4, 7]");
  expect_refused([&] { add(rows(8), output_rows(8)); }, "add", "b", "rows of tokens",
                 "rows of outputs");
}

TEST_F(RowOpBuilders, RmsNormRefusesInvalidArguments) {
  const Tensor norm = weight({1, 1, 8});
  EXPECT_EQ(rms_norm(output_rows(8), norm, 1).row_space(), RowSpace::outputs);
  EXPECT_EQ(rms_norm_backward(rows(8), norm, 1, rows(8)).shape(), (Shape{4, 8}));
  EXPECT_EQ(rms_norm(rows(11), norm, 1).shape(), (Shape{4, 8}));
  EXPECT_EQ(rms_norm_backward(rows(11), norm, 1, rows(8)).shape(), (Shape{4, 11}));
  expect_refused([&] { rms_norm(rows(7), norm, 1); }, "rms_norm", "x",
                 "an activation F32 [1..512, 8 or more]", "F32 [4, 7]");
  expect_refused(
      [&] {
        rms_norm(rows(8), weight({1, 2, 8}), 1);
      },
      "rms_norm", "norm", "a weight [1, 1, 8]", "[1, 2, 8]");
  expect_refused([&] { rms_norm(rows(8), rows(8), 1); }, "rms_norm", "norm", "a weight",
                 "an activation");
  for (const float eps : {0.0F, -1.0F, kNan}) {
    expect_refused([&] { rms_norm(rows(8), norm, eps); }, "rms_norm", "eps", "a number > 0", "");
    expect_refused([&] { rms_norm_backward(rows(8), norm, eps, rows(8)); }, "rms_norm_backward",
                   "eps", "a number > 0", "");
  }
  expect_refused([&] { rms_norm_backward(rows(8), norm, 1, rows(7)); }, "rms_norm_backward", "g_y",
                 "an activation F32 [4, 8]", "F32 [4, 7]");
}

TEST_F(RowOpBuilders, SiluMulRefusesInvalidArguments) {
  const Tensor experts = graph_->input(DType::f32, {4, 2, 8});
  EXPECT_EQ(silu_mul(experts, experts).shape(), (Shape{4, 2, 8}));
  EXPECT_EQ(silu_mul_backward(experts, experts, experts).up.shape(), (Shape{4, 2, 8}));
  expect_refused([&] { silu_mul(experts, rows(8)); }, "silu_mul", "up",
                 "an activation F32 [4, 2, 8]", "F32 [4, 8]");
  expect_refused(
      [&] {
        silu_mul(weight({1, 4, 8}), rows(8));
      },
      "silu_mul", "gate", "an activation F32", "");
  expect_refused([&] { silu_mul_backward(rows(8), rows(8), rows(7)); }, "silu_mul_backward", "g_y",
                 "an activation F32 [4, 8]", "F32 [4, 7]");
}

TEST_F(RowOpBuilders, AddGatedRefusesInvalidArguments) {
  EXPECT_EQ(add_gated(rows(8), rows(8), rows(3), 2).shape(), (Shape{4, 8}));
  EXPECT_EQ(add_gated_backward(rows(8), rows(3), 2, rows(8)).gates.shape(), (Shape{4, 3}));
  for (const std::int64_t column : {-1, 3}) {
    expect_refused([&] { add_gated(rows(8), rows(8), rows(3), column); }, "add_gated", "column",
                   "0..2", std::to_string(column));
    expect_refused([&] { add_gated_backward(rows(8), rows(3), column, rows(8)); },
                   "add_gated_backward", "column", "0..2", std::to_string(column));
  }
  expect_refused([&] { add_gated(rows(8), rows(7), rows(3), 0); }, "add_gated", "b",
                 "an activation F32 [4, 8]", "F32 [4, 7]");
  expect_refused([&] { add_gated(rows(8), rows(8), rows(3, 5), 0); }, "add_gated", "gates",
                 "an activation F32 [4, 3]", "F32 [5, 3]");
  expect_refused([&] { add_gated_backward(rows(8), rows(3), 0, rows(7)); }, "add_gated_backward",
                 "g_y", "an activation F32 [4, 8]", "F32 [4, 7]");
}

TEST_F(RowOpBuilders, StoresRefuseInvalidArguments) {
  EXPECT_EQ(load_rows(state(store_), 4).shape(), (Shape{4, 8}));
  EXPECT_EQ(load_rows(state(store_), 4, RowSelect::outputs).row_space(), RowSpace::outputs);
  EXPECT_NO_THROW(save_rows(output_rows(8), state(store_)));
  expect_refused([&] { load_rows({}, 4); }, "load_rows", "store", "a tensor", "an empty handle");
  expect_refused([&] { load_rows(state(pages_f32_), 4); }, "load_rows", "store",
                 "a state F32 or I32 [capacity, ...]", "F32");
  for (const std::int64_t n : {0, 513})
    expect_refused([&] { load_rows(state(store_), n); }, "load_rows", "n_rows", "1..512",
                   std::to_string(n));
  expect_refused([&] { save_rows(rows(7), state(store_)); }, "save_rows", "x",
                 "an activation F32 [4, 8]", "F32 [4, 7]");
  expect_refused([&] { save_rows(integers(8), state(store_)); }, "save_rows", "x",
                 "an activation F32 [4, 8]", "I32 [4, 8]");
  expect_refused([&] { save_rows(rows(8), rows(8)); }, "save_rows", "store", "a state F32", "");
}

TEST_F(RowOpBuilders, LinearBackwardRefusesInvalidArguments) {
  const Tensor w = weight({1, 6, 8});
  const Tensor g_x = linear_backward(output_rows(6), w, 11);
  EXPECT_EQ(g_x.shape(), (Shape{4, 11}));
  EXPECT_EQ(g_x.row_space(), RowSpace::outputs);
  expect_refused([&] { linear_backward(rows(8), w, 8); }, "linear_backward", "g_y",
                 "an activation F32 [1..512, 6]", "F32 [4, 8]");
  expect_refused([&] { linear_backward(rows(6), w, 7); }, "linear_backward", "width", "8 or more",
                 "7");
  expect_refused(
      [&] {
        linear_backward(rows(6), weight({2, 6, 8}), 8);
      },
      "linear_backward", "weight", "a weight [1, rows, cols]", "[2, 6, 8]");
}

TEST_F(RowOpBuilders, DropoutRefusesInvalidArguments) {
  EXPECT_EQ(dropout(rows(8), {.p = 0.5F}, state(store_)).shape(), (Shape{4, 8}));
  for (const float p : {-0.1F, 1.0F, kNan})
    expect_refused([&] { dropout(rows(8), {.p = p}); }, "dropout", "p", "a number in [0, 1)", "");
  expect_refused([&] { dropout(output_rows(8), {}); }, "dropout", "x", "rows of tokens",
                 "rows of outputs");
  expect_refused([&] { dropout(rows(6), {.first_column = 3}, state(store_)); }, "dropout",
                 "first_column", "6 columns from 3 on, within 8", "the end 9");
  expect_refused([&] { dropout(rows(8), {}, rows(8)); }, "dropout", "masks", "a state F32", "");
}

/// An adapter of a layer [6, 8] that fits a vector of 100 elements.
AdapterPlace good_place() {
  return {.a = 0, .b = 20, .m = 40, .norm = 3, .rank = 2, .is_dora = 1, .scale = 20};
}

TEST_F(RowOpBuilders, AdapterRefusesInvalidArguments) {
  const auto with = [&](const AdapterPlace& place, const AdapterOptions& options = {}) {
    return [=, this] { adapter(rows(8), rows(6), state(vector_), state(vector_), place, options); };
  };
  EXPECT_NO_THROW(with(good_place())());
  const auto changed = [](const auto& change) {
    AdapterPlace place = good_place();
    change(place);
    return place;
  };
  expect_refused(with(changed([](AdapterPlace& p) { p.rank = 0; })), "adapter", "rank",
                 "a number > 0", "0");
  expect_refused(with(changed([](AdapterPlace& p) { p.scale = kNan; })), "adapter", "scale",
                 "a finite number", "nan");
  expect_refused(with(changed([](AdapterPlace& p) { p.a = 85; })), "adapter", "a",
                 "16 elements from 85 on, within 100", "the end 101");
  expect_refused(with(changed([](AdapterPlace& p) { p.b = 89; })), "adapter", "b",
                 "12 elements from 89 on, within 100", "the end 101");
  expect_refused(with(changed([](AdapterPlace& p) { p.m = 95; })), "adapter", "m",
                 "6 elements from 95 on, within 100", "the end 101");
  expect_refused(with(changed([](AdapterPlace& p) { p.norm = 95; })), "adapter", "norm",
                 "6 elements from 95 on, within 100", "the end 101");
  AdapterOptions options;
  options.bias = weight({1, 1, 8});
  expect_refused(with(good_place(), options), "adapter", "bias", "a weight [1, 1, 6]", "[1, 1, 8]");
  options = {};
  options.residual = rows(8);
  expect_refused(with(good_place(), options), "adapter", "residual", "an activation F32 [4, 6]",
                 "F32 [4, 8]");
  expect_refused([&] { adapter(rows(8), output_rows(6), state(vector_), {}, good_place()); },
                 "adapter", "base", "the same kind of rows", "the other kind");
  expect_refused([&] { adapter(rows(8), rows(6), state(store_), {}, good_place()); }, "adapter",
                 "parameters", "a state F32 [1, n]", "F32 [16, 8]");
}

TEST_F(RowOpBuilders, AdapterBackwardRefusesInvalidArguments) {
  const Tensor vector = state(vector_);
  AdapterPlace lora = good_place();
  lora.is_dora = 0;
  const Tensor g_y = rows(6);
  const auto gradients = adapter_backward(rows(8), {}, vector, {}, lora, g_y, vector);
  EXPECT_EQ(gradients.base.id(), g_y.id());
  EXPECT_EQ(gradients.x.shape(), (Shape{4, 8}));
  expect_refused([&] { adapter_backward(rows(8), rows(6), vector, {}, lora, g_y, vector); },
                 "adapter_backward", "base", "none for LoRA", "a tensor");
  expect_refused([&] { adapter_backward(rows(8), {}, vector, vector, good_place(), g_y, vector); },
                 "adapter_backward", "base", "a tensor", "an empty handle");
  expect_refused([&] { adapter_backward(rows(8), {}, vector, {}, lora, g_y, state(store_)); },
                 "adapter_backward", "gradients", "a state F32 [1, 100]", "F32 [16, 8]");
  expect_refused(
      [&] {
        dora_norms(weight({1, 6, 8}), vector, vector, lora);
      },
      "dora_norms", "place", "an adapter of DoRA", "one of LoRA");
  EXPECT_NO_THROW(dora_norms(weight({1, 6, 8}), vector, vector, good_place()));
}

TEST_F(RowOpBuilders, OpsOnVectorsRefuseInvalidArguments) {
  const Tensor vector = state(vector_);
  const Tensor number = state(layout_.add_shared("number", DType::f32, {1, 1}));
  const Tensor numbers = state(layout_.add_shared("numbers", DType::f32, {1, 8}));
  EXPECT_EQ(cross_entropy(output_rows(40), vector, vector).shape(), (Shape{4, 40}));
  expect_refused([&] { cross_entropy(rows(40), vector, vector); }, "cross_entropy", "logits",
                 "rows of outputs", "rows of tokens");
  expect_refused([&] { cross_entropy(output_rows(40), vector, number); }, "cross_entropy",
                 "log_probs", "a state F32 [1, 100]", "F32 [1, 1]");
  EXPECT_NO_THROW(sum_squares(vector, number));
  expect_refused([&] { sum_squares(vector, vector); }, "sum_squares", "result",
                 "a state F32 [1, 1]", "F32 [1, 100]");
  expect_refused([&] { sum_squares(rows(8), number); }, "sum_squares", "vector",
                 "a state F32 [1, n]", "F32 [4, 8]");
  EXPECT_NO_THROW(adamw(vector, vector, vector, vector, numbers));
  expect_refused([&] { adamw(vector, number, vector, vector, numbers); }, "adamw", "gradients",
                 "a state F32 [1, 100]", "F32 [1, 1]");
  expect_refused([&] { adamw(vector, vector, vector, vector, vector); }, "adamw", "numbers",
                 "a state F32 [1, 8]", "F32 [1, 100]");
}

}  // namespace
}  // namespace bitaxon::test
