// Checks that the op builders refuse invalid arguments with a message that names the argument.
#include "core_tests/op_builders.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>

#include "core/plan.h"

namespace bitaxon::test {
namespace {

TEST_F(OpBuilders, EmbedRefusesInvalidArguments) {
  const Tensor table = weight({1, 40, 8});
  const Tensor y = embed(table, state(seen_), state(next_token_), 4);
  EXPECT_EQ(y.shape(), (Shape{4, 8}));
  EXPECT_EQ(y.row_space(), RowSpace::rows);
  const auto with = [&](const Tensor& t, const Tensor& s, const Tensor& n, std::int64_t r) {
    return [=] { embed(t, s, n, r); };
  };
  expect_refused(with({}, state(seen_), state(next_token_), 4), "embed", "table", "a tensor",
                 "an empty handle");
  expect_refused(with(weight({2, 40, 8}), state(seen_), state(next_token_), 4), "embed", "table",
                 "a weight [1, V, S]", "[2, 40, 8]");
  expect_refused(with(weight({1, 70, 8}), state(seen_), state(next_token_), 4), "embed", "seen", "",
                 "");
  expect_refused(with(table, rows(2), state(next_token_), 4), "embed", "seen", "", "");
  expect_refused(with(table, state(seen_), state(seen_), 4), "embed", "next_token", "", "");
  expect_refused(with(table, state(seen_), state(next_token_), 0), "embed", "n_rows", "1..512",
                 "0");
  expect_refused(with(table, state(seen_), state(next_token_), 513), "embed", "n_rows", "1..512",
                 "513");
}

TEST_F(OpBuilders, LinearRefusesInvalidArguments) {
  const Tensor w = weight({1, 6, 8});
  EXPECT_EQ(linear(rows(8), w).shape(), (Shape{4, 6}));
  const Tensor last = linear(rows(8), w, {.select = RowSelect::outputs, .n_outputs = 2});
  EXPECT_EQ(last.shape(), (Shape{2, 6}));
  EXPECT_EQ(last.row_space(), RowSpace::outputs);
  EXPECT_EQ(linear(last, weight({1, 3, 6})).row_space(), RowSpace::outputs);
  const auto with = [&](const Tensor& x, const Tensor& m, const LinearOptions& options = {}) {
    return [=] { linear(x, m, options); };
  };
  expect_refused(with(rows(7), w), "linear", "x", "an activation F32 [1..512, 8 or more]",
                 "F32 [4, 7]");
  expect_refused(with({}, w), "linear", "x", "a tensor", "an empty handle");
  expect_refused(with(integers(8), w), "linear", "x", "an activation F32", "I32 [4, 8]");
  expect_refused(with(rows(8, 513), w), "linear", "x", "an activation F32 [1..512", "F32 [513, 8]");
  expect_refused(with(rows(8), rows(8)), "linear", "weight", "a weight", "an activation");
  expect_refused(with(rows(8), weight({3, 6, 8})), "linear", "weight", "a weight [1, rows, cols]",
                 "[3, 6, 8]");
  expect_refused(with(rows(8), w, {.norm = weight({1, 1, 6}), .eps = 1}), "linear", "norm",
                 "a weight [1, 1, 8]", "[1, 1, 6]");
  const Tensor norm = weight({1, 1, 8});
  for (float eps : {0.0F, -1.0F, std::numeric_limits<float>::quiet_NaN()})
    expect_refused(with(rows(8), w, {.norm = norm, .eps = eps}), "linear", "eps", "a number > 0",
                   "");
  EXPECT_EQ(linear(rows(11), w, {.norm = norm, .eps = 1}).shape(), (Shape{4, 6}));
  EXPECT_EQ(linear(rows(8), w, {.bias = weight({1, 1, 6})}).shape(), (Shape{4, 6}));
  expect_refused(with(rows(8), w, {.bias = weight({1, 1, 8})}), "linear", "bias",
                 "a weight [1, 1, 6]", "[1, 1, 8]");
  expect_refused(with(rows(8), w, {.bias = rows(6)}), "linear", "bias", "a weight",
                 "an activation");
  expect_refused(with(rows(8), w, {.residual = rows(8)}), "linear", "residual",
                 "an activation F32 [4, 6]", "F32 [4, 8]");
  expect_refused(with(rows(8), w, {.residual = rows(6), .select = RowSelect::outputs}), "linear",
                 "residual", "none for RowSelect::outputs", "a tensor");
  for (const std::int64_t n : {0, 513})
    expect_refused(with(rows(8), w, {.select = RowSelect::outputs, .n_outputs = n}), "linear",
                   "n_outputs", "1..512", std::to_string(n));
  expect_refused(with(last, weight({1, 3, 6}), {.select = RowSelect::outputs}), "linear", "x",
                 "rows of tokens", "rows of outputs");
}

TEST_F(OpBuilders, SsmInRefusesInvalidArguments) {
  const SsmInWeights good{.norm = weight({1, 1, 8}),
                          .in_proj = weight({1, 12, 8}),
                          .conv_weight = weight({1, 6, 3}),
                          .conv_bias = weight({1, 1, 6})};
  const auto [u, z] = ssm_in(rows(8), good, 1e-6F, state(tail_));
  EXPECT_EQ(u.shape(), (Shape{4, 6}));
  EXPECT_EQ(z.shape(), (Shape{4, 6}));
  const auto with = [&](const auto& change, const Tensor& tail) {
    SsmInWeights weights = good;
    change(weights);
    return [=, this] { ssm_in(rows(8), weights, 1e-6F, tail); };
  };
  EXPECT_NO_THROW(with([](SsmInWeights& w) { w.norm = {}; }, state(tail_))());
  expect_refused(with(
                     [&](SsmInWeights& w) {
                       w.in_proj = weight({1, 11, 8});
                     },
                     state(tail_)),
                 "ssm_in", "in_proj", "a weight [1, 12, 8]", "[1, 11, 8]");
  EXPECT_NO_THROW(with([](SsmInWeights& w) { w.conv_bias = {}; }, state(tail_))());
  EXPECT_NO_THROW(with([&](SsmInWeights& w) { w.in_bias = weight({1, 1, 12}); }, state(tail_))());
  expect_refused(with(
                     [&](SsmInWeights& w) {
                       w.in_bias = weight({1, 1, 6});
                     },
                     state(tail_)),
                 "ssm_in", "in_bias", "a weight [1, 1, 12]", "[1, 1, 6]");
  expect_refused(with(
                     [&](SsmInWeights& w) {
                       w.conv_bias = weight({1, 1, 12});
                     },
                     state(tail_)),
                 "ssm_in", "conv_bias", "a weight [1, 1, 6]", "[1, 1, 12]");
  expect_refused(with(
                     [&](SsmInWeights& w) {
                       w.conv_weight = weight({1, 6, 4});
                     },
                     state(tail_)),
                 "ssm_in", "tail", "", "F32 [2, 6]");
  expect_refused(with([](SsmInWeights&) {}, rows(6)), "ssm_in", "tail", "", "");
  expect_refused([&] { ssm_in(rows(8), good, 0, state(tail_)); }, "ssm_in", "eps", "a number > 0",
                 "0");
  expect_refused([&] { ssm_in(rows(9), good, 1, state(tail_)); }, "ssm_in", "x", "an activation",
                 "F32 [4, 9]");
}

TEST_F(OpBuilders, SelectiveScanRefusesInvalidArguments) {
  const SelectiveScanWeights good{.dt_weight = weight({1, 6, 1}),
                                  .dt_bias = weight({1, 1, 6}),
                                  .a_log = weight({1, 6, 2}),
                                  .skip = weight({1, 1, 6})};
  const auto with = [&](const Tensor& u, const Tensor& params, const Tensor& z, const Tensor& h) {
    return [=] { return selective_scan(u, params, {}, z, good, {}, h); };
  };
  EXPECT_EQ(with(rows(6), rows(5), rows(6), state(h_))().shape(), (Shape{4, 6}));
  expect_refused(with(rows(6), rows(4), rows(6), state(h_)), "selective_scan", "params",
                 "an activation F32 [4, 5]", "F32 [4, 4]");
  expect_refused(with(rows(6), rows(5), rows(6, 5), state(h_)), "selective_scan", "z",
                 "an activation F32 [4, 6]", "F32 [5, 6]");
  expect_refused(with(rows(7), rows(5), rows(6), state(h_)), "selective_scan", "u", "an activation",
                 "F32 [4, 7]");
  expect_refused(with(rows(6), rows(5), rows(6), state(pages_)), "selective_scan", "h", "",
                 "F16 [64, 8]");
  SelectiveScanWeights bad = good;
  bad.dt_weight = weight({1, 1, 6});
  expect_refused([&] { selective_scan(rows(6), rows(5), {}, rows(6), bad, {}, state(h_)); },
                 "selective_scan", "dt_weight", "a weight [1, 6, 1]", "[1, 1, 6]");
}

TEST_F(OpBuilders, SelectiveScanRefusesInvalidTimeStepsAndNorms) {
  const SelectiveScanWeights good{.dt_bias = weight({1, 1, 6}),
                                  .a_log = weight({1, 6, 2}),
                                  .skip = weight({1, 1, 6}),
                                  .b_norm = weight({1, 1, 2}),
                                  .c_norm = weight({1, 1, 2})};
  const auto with = [&](const Tensor& params, const Tensor& dt, const auto& change,
                        SelectiveScanOptions options = {.eps = 1}) {
    SelectiveScanWeights weights = good;
    change(weights);
    return [=, this] {
      return selective_scan(rows(6), params, dt, rows(6), weights, options, state(h_));
    };
  };
  const auto same = [](SelectiveScanWeights&) {};
  EXPECT_EQ(with(rows(4), rows(6), same)().shape(), (Shape{4, 6}));
  EXPECT_EQ(with(rows(9), rows(6), same)().shape(), (Shape{4, 6}));
  expect_refused(with(rows(3), rows(6), same), "selective_scan", "params",
                 "an activation F32 [1..512, 4 or more]", "F32 [4, 3]");
  expect_refused(with(rows(4, 5), rows(6), same), "selective_scan", "params",
                 "an activation F32 [4, 4]", "F32 [5, 4]");
  expect_refused(with(rows(4), rows(5), same), "selective_scan", "dt", "an activation F32 [4, 6]",
                 "F32 [4, 5]");
  expect_refused(with(rows(4), rows(6),
                      [&](SelectiveScanWeights& w) {
                        w.dt_weight = weight({1, 6, 1});
                      }),
                 "selective_scan", "dt_weight", "none beside dt", "a tensor");
  expect_refused(with(rows(5), {}, same), "selective_scan", "dt_weight", "a tensor",
                 "an empty handle");
  expect_refused(with(rows(4), rows(6), [](SelectiveScanWeights& w) { w.c_norm = {}; }),
                 "selective_scan", "c_norm", "present exactly when b_norm is", "an empty handle");
  expect_refused(with(rows(4), rows(6),
                      [&](SelectiveScanWeights& w) {
                        w.b_norm = weight({1, 1, 6});
                      }),
                 "selective_scan", "b_norm", "a weight [1, 1, 2]", "[1, 1, 6]");
  expect_refused(with(rows(4), rows(6), same, {}), "selective_scan", "eps", "a number > 0", "0");
  for (const TimeStepClip clip : {TimeStepClip{2, 1}, TimeStepClip{-1, 1}})
    expect_refused(with(rows(4), rows(6), same, {.clip = clip, .eps = 1}), "selective_scan", "clip",
                   "0 <= least <= most", "");
}

TEST_F(OpBuilders, SwigluRefusesInvalidArguments) {
  const SwigluWeights good{
      .norm = weight({1, 1, 8}), .gate = weight({1, 7, 8}), .up = weight({1, 7, 8})};
  EXPECT_EQ(swiglu(rows(8), good, 1).shape(), (Shape{4, 7}));
  EXPECT_EQ(swiglu(rows(8), {.gate = good.gate, .up = good.up}, 0).shape(), (Shape{4, 7}));
  expect_refused([&] { swiglu(rows(8), good, 0); }, "swiglu", "eps", "a number > 0", "0");
  expect_refused([&] { swiglu(rows(7), good, 1); }, "swiglu", "x", "an activation F32 [1..512, 8]",
                 "F32 [4, 7]");
  SwigluWeights bad = good;
  bad.up = weight({1, 6, 8});
  expect_refused([&] { swiglu(rows(8), bad, 1); }, "swiglu", "up", "a weight [1, 7, 8]",
                 "[1, 6, 8]");
  bad = good;
  bad.norm = weight({1, 1, 7});
  expect_refused([&] { swiglu(rows(8), bad, 1); }, "swiglu", "norm", "a weight [1, 1, 8]",
                 "[1, 1, 7]");
  bad = good;
  bad.gate = weight({2, 7, 8});
  expect_refused([&] { swiglu(rows(8), bad, 1); }, "swiglu", "gate", "a weight [1, 7, 8]",
                 "[2, 7, 8]");
}

TEST_F(OpBuilders, AttnInRefusesInvalidArguments) {
  const AttnInWeights good{weight({1, 1, 8}), weight({1, 8, 8}), weight({1, 8, 8}),
                           weight({1, 8, 8})};
  EXPECT_EQ(attn_in(rows(8), good, 1, state(pages_), state(pages_)).shape(), (Shape{4, 8}));
  AttnInWeights bare = good;
  bare.norm = {};
  EXPECT_NO_THROW(attn_in(rows(8), bare, 0, state(pages_f32_), state(pages_f32_)));
  expect_refused([&] { attn_in(rows(8), good, 1, state(narrow_pages_), state(pages_)); }, "attn_in",
                 "keys", "pages of rows of 8", "[64, 3]");
  expect_refused([&] { attn_in(rows(8), good, 1, state(pages_), {}); }, "attn_in", "values",
                 "a tensor", "an empty handle");
  expect_refused([&] { attn_in(rows(8), good, 1, state(seen_), state(pages_)); }, "attn_in", "keys",
                 "a state F16 or F32 in pages", "U32 [2]");
  AttnInWeights bad = good;
  bad.v = weight({1, 4, 8});
  expect_refused([&] { attn_in(rows(8), bad, 1, state(pages_), state(pages_)); }, "attn_in", "v",
                 "a weight [1, 8, 8]", "[1, 4, 8]");
}

TEST_F(OpBuilders, AttnInTakesHeadsNormsBiasesAndATable) {
  AttnInWeights good{{}, weight({1, 16, 6}), weight({1, 8, 6}), weight({1, 8, 6})};
  const Tensor pages = state(pages_);
  EXPECT_EQ(attn_in(rows(6), good, 0, pages, pages).shape(), (Shape{4, 16}));
  good.q_bias = weight({1, 1, 16});
  good.k_bias = good.v_bias = weight({1, 1, 8});
  good.q_norm = good.k_norm = weight({1, 1, 4});
  good.rotary = weight({1, 50, 4});
  EXPECT_EQ(attn_in(rows(6), good, 1, pages, pages).shape(), (Shape{4, 16}));
  const auto with = [&](Tensor AttnInWeights::*member, const Shape& shape) {
    AttnInWeights bad = good;
    bad.*member = weight(shape);
    return [=, this] { attn_in(rows(6), bad, 1, state(pages_), state(pages_)); };
  };
  expect_refused(with(&AttnInWeights::q_bias, {1, 1, 8}), "attn_in", "q_bias",
                 "a weight [1, 1, 16]", "[1, 1, 8]");
  expect_refused(with(&AttnInWeights::v_bias, {1, 1, 9}), "attn_in", "v_bias", "a weight [1, 1, 8]",
                 "[1, 1, 9]");
  expect_refused(with(&AttnInWeights::q_norm, {1, 1, 3}), "attn_in", "head",
                 "a divisor of the widths of q and k, which are 16 and 8", "3");
  expect_refused(with(&AttnInWeights::k_norm, {1, 1, 8}), "attn_in", "k_norm", "a weight [1, 1, 4]",
                 "[1, 1, 8]");
  expect_refused(with(&AttnInWeights::rotary, {1, 50, 8}), "attn_in", "rotary",
                 "a weight [1, 50, 4]", "[1, 50, 8]");
  expect_refused(with(&AttnInWeights::rotary, {1, 50, 1}), "attn_in", "rotary",
                 "a weight [1, positions, d] with an even d", "[1, 50, 1]");
  expect_refused([&] { attn_in(rows(6), good, 0, pages, pages); }, "attn_in", "eps", "a number > 0",
                 "0");
}

TEST_F(OpBuilders, AttentionRefusesInvalidArguments) {
  const Tensor pages = state(pages_);
  const auto with = [&](const Tensor& q, const Tensor& keys, const Tensor& values,
                        const AttentionForm& form) {
    return [=] { attention(q, keys, values, form); };
  };
  EXPECT_EQ(attention(rows(8), pages, pages, {2, 2, 9}).shape(), (Shape{4, 8}));
  EXPECT_EQ(attention(rows(8), pages, pages, {2, 2, {}}).shape(), (Shape{4, 8}));
  EXPECT_EQ(attention(rows(24), pages, pages, {6, 2, 9}).shape(), (Shape{4, 24}));
  expect_refused(with(rows(8), pages, pages, {2, 2, 0}), "attention", "window", "a number >= 1",
                 "0");
  expect_refused(with(rows(8), pages, pages, {3, 3, 4}), "attention", "n_kv_heads",
                 "a divisor of 8", "3");
  expect_refused(with(rows(8), pages, pages, {0, 0, 4}), "attention", "n_kv_heads",
                 "a divisor of 8", "0");
  expect_refused(with(rows(8), pages, pages, {3, 2, 4}), "attention", "n_heads", "a multiple of 2",
                 "3");
  expect_refused(with(rows(8), pages, state(pages_f32_), {2, 2, 4}), "attention", "values",
                 "pages like those of the keys", "[64, 8]");
  expect_refused(with(rows(8), pages, state(other_pages_), {2, 2, 4}), "attention", "values",
                 "pages like those of the keys", "[64, 8]");
  expect_refused(with(rows(8), {}, pages, {2, 2, 4}), "attention", "keys", "a tensor",
                 "an empty handle");
  expect_refused(with(rows(7), pages, pages, {2, 2, 4}), "attention", "q", "an activation",
                 "F32 [4, 7]");
}

TEST_F(OpBuilders, ExpertOpsRefuseInvalidArguments) {
  const Tensor norm = weight({1, 1, 8});
  const Tensor gate = weight({1, 5, 8});
  const auto route = moe_route(rows(8), norm, 1, gate, {}, 2);
  EXPECT_EQ(route.normed.shape(), (Shape{4, 8}));
  EXPECT_EQ(route.experts.shape(), (Shape{4, 2}));
  EXPECT_EQ(route.experts.dtype(), DType::i32);
  EXPECT_EQ(route.gates.shape(), (Shape{4, 3}));
  EXPECT_NO_THROW(moe_route(rows(8), {}, 0, gate, weight({1, 1, 8}), 5));
  for (std::int64_t top_k : {0, 6})
    expect_refused([&] { moe_route(rows(8), norm, 1, gate, {}, top_k); }, "moe_route", "top_k",
                   "1..5", std::to_string(top_k));
  expect_refused(
      [&] {
        moe_route(rows(8), norm, 1, gate, weight({1, 2, 8}), 2);
      },
      "moe_route", "shared_gate", "a weight [1, 1, 8]", "[1, 2, 8]");

  const Tensor stack = weight({5, 7, 8});
  const Tensor one = weight({1, 7, 8});
  EXPECT_EQ(moe_swiglu(rows(8), integers(2), {stack, stack, one, one}).shape(), (Shape{4, 3, 7}));
  EXPECT_EQ(moe_swiglu(rows(8), integers(2), {stack, stack, {}, {}}).shape(), (Shape{4, 2, 7}));
  expect_refused(
      [&] {
        moe_swiglu(rows(8), integers(2), {stack, stack, one, {}});
      },
      "moe_swiglu", "shared_up", "present exactly when shared_gate is", "an empty handle");
  expect_refused(
      [&] {
        moe_swiglu(rows(8), integers(2), {stack, one, {}, {}});
      },
      "moe_swiglu", "up", "a weight [5, 7, 8]", "[1, 7, 8]");
  expect_refused(
      [&] {
        moe_swiglu(rows(8), rows(2), {stack, stack, {}, {}});
      },
      "moe_swiglu", "experts", "an activation I32 [4, 2]", "F32 [4, 2]");

  const Tensor down = weight({5, 8, 7});
  const Tensor act = graph_->input(DType::f32, {4, 2, 7});
  EXPECT_EQ(moe_down(act, integers(2), rows(3), down, {}, rows(8)).shape(), (Shape{4, 8}));
  expect_refused(
      [&] {
        moe_down(act, integers(2), rows(3), down, weight({1, 8, 7}), rows(8));
      },
      "moe_down", "act", "an activation F32 [4, 3, 7]", "F32 [4, 2, 7]");
  expect_refused([&] { moe_down(act, integers(2), rows(2), down, {}, rows(8)); }, "moe_down",
                 "gates", "an activation F32 [4, 3]", "F32 [4, 2]");
  expect_refused([&] { moe_down(act, integers(2), rows(3), down, {}, rows(7)); }, "moe_down",
                 "residual", "an activation", "F32 [4, 7]");
  expect_refused([&] { moe_down(act, {}, rows(3), down, {}, rows(8)); }, "moe_down", "experts",
                 "an activation I32 [R, top_k]", "an empty handle");
}

TEST_F(OpBuilders, SampleRefusesInvalidArguments) {
  const auto logits = [&](std::int64_t n, std::int64_t v, RowSpace space = RowSpace::outputs) {
    return graph_->input(DType::f32, {n, v}, space);
  };
  const Tensor tokens = sample(logits(2, 40), state(seen_), state(next_token_), {}, 3);
  EXPECT_EQ(tokens.shape(), (Shape{3}));
  EXPECT_EQ(tokens.dtype(), DType::i32);
  EXPECT_EQ(tokens.row_space(), RowSpace::segments);
  expect_refused(
      [&] { sample(logits(2, 40, RowSpace::rows), state(seen_), state(next_token_), {}, 2); },
      "sample", "logits", "an activation F32 [O, V] with a row per output", "[2, 40]");
  expect_refused([&] { sample(logits(513, 40), state(seen_), state(next_token_), {}, 2); },
                 "sample", "logits", "an activation F32 [O, V]", "[513, 40]");
  for (const std::int64_t n : {0, 33})
    expect_refused([&] { sample(logits(2, 40), state(seen_), state(next_token_), {}, n); },
                   "sample", "n_segments", "1..32", std::to_string(n));
  expect_refused([&] { sample(logits(2, 70), state(seen_), state(next_token_), {}, 2); }, "sample",
                 "seen", "", "U32 [2]");
  expect_refused([&] { sample(logits(2, 40), state(seen_), state(seen_), {}, 2); }, "sample",
                 "next_token", "", "U32 [2]");
}

TEST_F(OpBuilders, ScheduledGraphsRefuseOps) {
  const Tensor x = rows(8);
  const Tensor w = weight({1, 6, 8});
  graph_->mark_output(linear(x, w));
  schedule(graph_, [](const NodeView&) { return std::size_t{0}; });
  expect_invalid([&] { linear(x, w); },
                 "[graph] record: expected a graph that is still being "
                 "recorded, got one that has been scheduled");
}

}  // namespace
}  // namespace bitaxon::test
