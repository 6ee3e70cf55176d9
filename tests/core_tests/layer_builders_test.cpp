// Checks that the builders of the parts of attention and of experts, and of their gradients, refuse
// invalid arguments.
#include <gtest/gtest.h>

#include "bitaxon/training_ops.h"
#include "core_tests/op_builders.h"

namespace bitaxon::test {
namespace {

TEST_F(OpBuilders, AttnAppendRefusesInvalidArguments) {
  const auto with = [&](const Tensor& q, const Tensor& k, const AttnAppendWeights& weights,
                        const Tensor& values) {
    return [=, this] { return attn_append(q, k, rows(8), weights, 1, state(pages_), values); };
  };
  const AttnAppendWeights heads{
      .q_norm = weight({1, 1, 4}), .k_norm = weight({1, 1, 4}), .rotary = weight({1, 9, 4})};
  EXPECT_EQ(with(rows(16), rows(8), heads, state(pages_))().shape(), (Shape{4, 16}));
  EXPECT_NO_THROW(with(rows(16), rows(8), {}, state(pages_))());
  expect_refused(with(rows(16), rows(7), {}, state(pages_)), "attn_append", "k",
                 "an activation F32 [4, 8]", "F32 [4, 7]");
  expect_refused(with({}, rows(8), {}, state(pages_)), "attn_append", "q", "a tensor",
                 "an empty handle");
  for (const std::int32_t pages : {pages_f32_, narrow_pages_, other_pages_})
    expect_refused(with(rows(16), rows(8), {}, state(pages)), "attn_append", "values",
                   "pages like those of the keys", "[64, ");
  expect_refused(with(rows(14), rows(8), heads, state(pages_)), "attn_append", "head",
                 "a divisor of the widths of q and k, which are 14 and 8", "4");
  AttnAppendWeights bad = heads;
  bad.rotary = weight({1, 9, 2});
  expect_refused(with(rows(16), rows(8), bad, state(pages_)), "attn_append", "rotary",
                 "a weight [1, 9, 4]", "[1, 9, 2]");
  bad.rotary = weight({1, 9, 5});
  expect_refused(with(rows(16), rows(8), bad, state(pages_)), "attn_append", "rotary",
                 "a weight [1, positions, d] with an even d", "[1, 9, 5]");
  expect_refused(
      [&] { attn_append(rows(16), rows(8), rows(8), heads, 0, state(pages_), state(pages_)); },
      "attn_append", "eps", "a number > 0", "0");
}

TEST_F(OpBuilders, AttnAppendBackwardRefusesInvalidArguments) {
  const auto with = [&](const Tensor& g_y, const Tensor& g_keys, const Tensor& g_values) {
    return
        [=, this] { return attn_append_backward(rows(16), rows(8), {}, 0, g_y, g_keys, g_values); };
  };
  const AttnAppendGradients g = with(rows(16), state(pages_f32_), state(pages_f32_))();
  EXPECT_EQ(g.q.shape(), (Shape{4, 16}));
  EXPECT_EQ(g.k.shape(), (Shape{4, 8}));
  EXPECT_EQ(g.v.shape(), (Shape{4, 8}));
  expect_refused(with(rows(8), state(pages_f32_), state(pages_f32_)), "attn_append_backward", "g_y",
                 "an activation F32 [4, 16]", "F32 [4, 8]");
  expect_refused(with(rows(16), state(pages_), state(pages_)), "attn_append_backward", "g_keys",
                 "F32", "F16");
  expect_refused(with(rows(16), state(pages_f32_), state(narrow_pages_)), "attn_append_backward",
                 "g_values", "pages like those of g_keys", "[64, 3]");
}

TEST_F(OpBuilders, AttentionBackwardRefusesInvalidArguments) {
  const auto with = [&](const AttentionForm& form, const Tensor& y, const Tensor& g_keys) {
    return [=, this] {
      return attention_backward(rows(16), state(pages_), state(pages_), form, y, rows(16), g_keys,
                                state(pages_f32_));
    };
  };
  const AttentionForm form{.n_heads = 4, .n_kv_heads = 2};
  EXPECT_EQ(with(form, rows(16), state(pages_f32_))().shape(), (Shape{4, 16}));
  expect_refused(with(form, rows(8), state(pages_f32_)), "attention_backward", "y",
                 "an activation F32 [4, 16]", "F32 [4, 8]");
  for (const std::int32_t pages : {pages_, narrow_pages_, other_pages_})
    expect_refused(with(form, rows(16), state(pages)), "attention_backward", "g_keys",
                   "F32 pages like those of the keys", "[64, ");
  expect_refused(with({.n_heads = 4, .n_kv_heads = 3}, rows(16), state(pages_f32_)),
                 "attention_backward", "n_kv_heads", "a divisor of 8", "3");
  expect_refused(with({.n_heads = 2, .n_kv_heads = 2}, rows(16), state(pages_f32_)),
                 "attention_backward", "q", "an activation F32 [1..512, 8]", "F32 [4, 16]");
}

TEST_F(OpBuilders, MoeGateUpRefusesInvalidArguments) {
  const Tensor gate = weight({5, 7, 8});
  const MoeGateUpResult made = moe_gate_up(rows(8), integers(2), gate, weight({5, 7, 8}));
  EXPECT_EQ(made.gate.shape(), (Shape{4, 2, 7}));
  EXPECT_EQ(made.up.shape(), (Shape{4, 2, 7}));
  expect_refused([&] { moe_gate_up(rows(7), integers(2), gate, gate); }, "moe_gate_up", "x",
                 "an activation F32 [1..512, 8]", "F32 [4, 7]");
  expect_refused([&] { moe_gate_up(rows(8), rows(2), gate, gate); }, "moe_gate_up", "experts",
                 "an activation I32 [4, 2]", "F32 [4, 2]");
  expect_refused(
      [&] {
        moe_gate_up(rows(8), integers(2), gate, weight({4, 7, 8}));
      },
      "moe_gate_up", "up", "a weight [5, 7, 8]", "[4, 7, 8]");
  const Tensor& g = made.gate;
  EXPECT_EQ(moe_gate_up_backward(g, g, integers(2), gate, gate).shape(), (Shape{4, 8}));
  expect_refused([&] { moe_gate_up_backward(g, {}, integers(2), gate, gate); },
                 "moe_gate_up_backward", "g_up", "a tensor", "an empty handle");
  expect_refused([&] { moe_gate_up_backward(g, g, integers(3), gate, gate); },
                 "moe_gate_up_backward", "g_gate", "an activation F32 [4, 3, 7]", "F32 [4, 2, 7]");
  expect_refused([&] { moe_gate_up_backward(g, g, {}, gate, gate); }, "moe_gate_up_backward",
                 "experts", "an activation I32 [R, top_k]", "an empty handle");
}

TEST_F(OpBuilders, MoeDownBackwardRefusesInvalidArguments) {
  const Tensor act = graph_->input(DType::f32, {4, 2, 7});
  const Tensor down = weight({5, 8, 7});
  const MoeDownGradients g = moe_down_backward(act, integers(2), rows(3), down, rows(8));
  EXPECT_EQ(g.act.shape(), (Shape{4, 2, 7}));
  EXPECT_EQ(g.gates.shape(), (Shape{4, 3}));
  expect_refused([&] { moe_down_backward(act, integers(2), rows(2), down, rows(8)); },
                 "moe_down_backward", "gates", "an activation F32 [4, 3]", "F32 [4, 2]");
  expect_refused([&] { moe_down_backward(act, integers(3), rows(4), down, rows(8)); },
                 "moe_down_backward", "act", "an activation F32 [4, 3, 7]", "F32 [4, 2, 7]");
  expect_refused([&] { moe_down_backward(act, integers(2), rows(3), down, rows(7)); },
                 "moe_down_backward", "g_y", "an activation F32 [1..512, 8]", "F32 [4, 7]");
}

TEST_F(OpBuilders, MoeRouteBackwardRefusesInvalidArguments) {
  const Tensor gate = weight({1, 5, 8});
  const auto with = [&](const MoeRouteResult& result, const Tensor& g_normed,
                        const Tensor& g_gates) {
    return [=, this] {
      return moe_route_backward(rows(8), weight({1, 1, 8}), 1, gate, {}, false, result, g_normed,
                                g_gates);
    };
  };
  const MoeRouteResult good{rows(8), integers(2), rows(3)};
  EXPECT_EQ(with(good, rows(8), rows(3))().shape(), (Shape{4, 8}));
  EXPECT_NO_THROW(with(good, {}, rows(3))());
  EXPECT_NO_THROW(with(good, rows(8), {})());
  expect_refused(with(good, rows(7), {}), "moe_route_backward", "g_normed",
                 "an activation F32 [4, 8]", "F32 [4, 7]");
  expect_refused(with(good, {}, rows(2)), "moe_route_backward", "g_gates",
                 "an activation F32 [4, 3]", "F32 [4, 2]");
  expect_refused(with({rows(8), integers(2), rows(4)}, {}, rows(3)), "moe_route_backward", "gates",
                 "an activation F32 [4, 3]", "F32 [4, 4]");
  expect_refused(with({rows(6), integers(2), rows(3)}, {}, rows(3)), "moe_route_backward", "normed",
                 "an activation F32 [4, 8]", "F32 [4, 6]");
}

}  // namespace
}  // namespace bitaxon::test
