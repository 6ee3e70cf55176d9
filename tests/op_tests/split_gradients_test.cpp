// Tests that a sequence gives the same gradients in one step and in several. The steps run forward,
// then backward, and hand on carries or gradients of keys and values.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "bitaxon/training_ops.h"
#include "cases/op_harness.h"
#include "op_tests/step_session.h"
#include "support/backends.h"
#include "support/tensors.h"

namespace bitaxon::test {
namespace {

constexpr std::int64_t kRows = 70;

/// One sequence whose steps may be cut anywhere. All of its state is NaN at first.
class CutSequence {
 public:
  CutSequence(Backend& backend, std::vector<std::int64_t> ends, StateLayout layout)
      : backend_(backend), ends_(std::move(ends)) {
    layout_ = std::make_shared<StateLayout>(std::move(layout));
    for (const StateTensor& tensor : layout_->tensors) {
      state_.push_back(backend.allocate(tensor.size_bytes, BufferUse::state));
      backend.upload(state_.back(), 0, std::vector<std::byte>(tensor.size_bytes, std::byte{0xFF}));
    }
  }

  struct Context {
    Graph& graph;
    const std::vector<Tensor>& inputs;
    std::function<Tensor(std::int32_t)> state;
    std::function<Tensor(const Shape&, std::span<const float>)> weight;
  };
  using Record = std::function<std::vector<Tensor>(const Context& context)>;

  /// Runs all steps, forward or backward. Returns each output of all rows. Input i has kRows rows.
  std::vector<std::vector<float>> run(bool backward, const std::vector<std::vector<float>>& inputs,
                                      const Record& record) {
    std::vector<std::vector<float>> all;
    for (std::size_t n = 0; n < ends_.size(); ++n) {
      const std::size_t step = backward ? ends_.size() - 1 - n : n;
      const auto outputs = run_step(step, inputs, record);
      all.resize(outputs.size());
      for (std::size_t i = 0; i < outputs.size(); ++i)
        all[i].insert(backward ? all[i].begin() : all[i].end(), outputs[i].begin(),
                      outputs[i].end());
    }
    return all;
  }

 private:
  std::vector<std::vector<float>> run_step(std::size_t step,
                                           const std::vector<std::vector<float>>& inputs,
                                           const Record& record);

  Backend& backend_;
  std::vector<std::int64_t> ends_;  ///< where each step ends
  std::shared_ptr<StateLayout> layout_;
  std::vector<Buffer> state_;
};

std::vector<std::vector<float>> CutSequence::run_step(std::size_t step,
                                                      const std::vector<std::vector<float>>& inputs,
                                                      const Record& record) {
  const std::int64_t first = step == 0 ? 0 : ends_[step - 1];
  const std::int64_t n_rows = ends_[step] - first;
  StepBuffer words;
  words.n_rows = static_cast<StepWord>(n_rows);
  words.n_segments = 1;
  SegmentWords& segment = words.segments[0];
  segment.n_rows = words.n_rows;
  segment.position = static_cast<StepWord>(first);
  segment.read_version = static_cast<StepWord>(step);
  segment.write_version = static_cast<StepWord>(step + 1);
  segment.keeps_state = step + 1 < ends_.size() ? 1 : 0;
  if (!layout_->page_groups.empty()) {
    const std::uint32_t pages[] = {1, 0};
    TableWriter(words, segment, 1).set(0, 0, pages);
  }
  const auto graph = std::make_shared<Graph>();
  std::vector<Tensor> tensors;
  std::vector<GraphInput> bytes;
  for (const std::vector<float>& values : inputs) {
    const std::int64_t cols = std::ssize(values) / kRows;
    tensors.push_back(graph->input(DType::f32, {n_rows, cols}));
    bytes.push_back({tensors.back(), std::as_bytes(std::span(values).subspan(
                                         static_cast<std::size_t>(first * cols),
                                         static_cast<std::size_t>(n_rows * cols)))});
  }
  const std::vector<Tensor> outputs =
      record({*graph, tensors, [&](std::int32_t index) { return graph->state(*layout_, index); },
              [&](const Shape& shape, std::span<const float> values) {
                return graph->weight(packed_weight(backend_, shape, values));
              }});
  for (const Tensor& output : outputs) graph->mark_output(output);
  const GraphRun run = run_graph(backend_, graph, bytes, words, state_, layout_);
  std::vector<std::vector<float>> found;
  for (const Tensor& output : outputs) {
    const auto of = run.bytes(output);
    std::vector<float>& values =
        found.emplace_back(static_cast<std::size_t>(output.shape().elements()));
    std::copy_n(reinterpret_cast<const float*>(of.data()), values.size(), values.begin());
  }
  return found;
}

std::vector<float> random_floats(Random& random, std::int64_t n, double spread, double centre = 0) {
  std::vector<float> values(static_cast<std::size_t>(n));
  for (float& value : values) value = random.centred(spread) + static_cast<float>(centre);
  return values;
}

/// The ways to cut the sequence.
std::vector<std::vector<std::int64_t>> cuts() {
  return {{kRows}, {64, kRows}, {1, 3, 4, 40, kRows}, {2, 66, 68, 69, kRows}};
}

/// Checks that all cuts give the results of the first one.
template <class Run>
void expect_same_results(const Run& run) {
  for (Backend* backend : {&reference_backend(), &cpu_backend(2)}) {
    std::vector<std::vector<float>> whole;
    for (const auto& ends : cuts()) {
      const auto results = run(*backend, ends);
      if (whole.empty()) whole = results;
      for (std::size_t i = 0; i < whole.size(); ++i)
        expect_close(results[i], whole[i], kRows, 1e-6,
                     fmt::format("result {} in {} steps", i, ends.size()));
    }
  }
}

TEST(SplitGradients, OfTheConvolutionAreTheSame) {
  constexpr std::int64_t kE = 20, kK = 4;
  Random random("split conv");
  const auto vz = random_floats(random, kRows * 2 * kE, 1);
  const auto g_u = random_floats(random, kRows * kE, 1);
  const auto taps = random_floats(random, kE * kK, 1);
  expect_same_results([&](Backend& backend, const std::vector<std::int64_t>& ends) {
    StateLayout layout;
    layout.add("tail", DType::f32, {kK - 1, kE}, 6);
    layout.add("carry", DType::f32, {kK - 1, kE}, 2);
    CutSequence sequence(backend, ends, layout);
    sequence.run(false, {vz}, [&](const CutSequence::Context& c) {
      return std::vector{ssm_conv(c.inputs[0], c.weight({1, kE, kK}, taps), {}, c.state(0)).u};
    });
    return sequence.run(true, {vz, g_u}, [&](const CutSequence::Context& c) {
      return std::vector{ssm_conv_backward(c.inputs[0], c.weight({1, kE, kK}, taps), {}, c.state(0),
                                           c.inputs[1], c.inputs[1], c.state(1))};
    });
  });
}

TEST(SplitGradients, OfTheScanAreTheSame) {
  constexpr std::int64_t kE = 20, kN = 16;
  Random random("split scan");
  const auto u = random_floats(random, kRows * kE, 1);
  const auto params = random_floats(random, kRows * (2 * kN + 1), 1);
  const auto z = random_floats(random, kRows * kE, 1);
  const auto g_y = random_floats(random, kRows * kE, 1);
  const auto weight = random_floats(random, kE, 1);
  const auto bias = random_floats(random, kE, 1, -2);
  const auto a_log = random_floats(random, kE * kN, 1);
  expect_same_results([&](Backend& backend, const std::vector<std::int64_t>& ends) {
    StateLayout layout;
    layout.add("h", DType::f32, {kN, kE}, 6);
    layout.add("carry", DType::f32, {kN, kE}, 2);
    CutSequence sequence(backend, ends, layout);
    const auto weights = [&](const CutSequence::Context& c) {
      return SelectiveScanWeights{.dt_weight = c.weight({1, kE, 1}, weight),
                                  .dt_bias = c.weight({1, 1, kE}, bias),
                                  .a_log = c.weight({1, kE, kN}, a_log),
                                  .skip = c.weight({1, 1, kE}, weight)};
    };
    sequence.run(false, {u, params, z}, [&](const CutSequence::Context& c) {
      return std::vector{
          selective_scan(c.inputs[0], c.inputs[1], {}, c.inputs[2], weights(c), {}, c.state(0))};
    });
    return sequence.run(true, {u, params, z, g_y}, [&](const CutSequence::Context& c) {
      const auto g = selective_scan_backward(c.inputs[0], c.inputs[1], {}, c.inputs[2], weights(c),
                                             {}, c.state(0), c.inputs[3], c.state(1));
      return std::vector{g.u, g.params, g.z};
    });
  });
}

void check_attention(std::optional<std::int64_t> window) {
  constexpr std::int64_t kD = 8, kHeads = 4, kKvHeads = 2;
  Random random("split attention");
  const auto q = random_floats(random, kRows * kHeads * kD, 1);
  const auto k = random_floats(random, kRows * kKvHeads * kD, 1);
  const auto v = random_floats(random, kRows * kKvHeads * kD, 1);
  const auto g_y = random_floats(random, kRows * kHeads * kD, 1);
  const auto norm = random_floats(random, kD, 0.3, 1);
  const auto table = random_floats(random, kRows * kD, 0.7);
  const AttentionForm form{.n_heads = kHeads, .n_kv_heads = kKvHeads, .window = window};
  expect_same_results([&](Backend& backend, const std::vector<std::int64_t>& ends) {
    StateLayout layout;
    layout.page_groups = {{.window = window, .n_pages = 2, .pages_per_slot = 2}};
    for (const char* name : {"keys", "values", "g_keys", "g_values"})
      layout.add_pages(name, DType::f32, kKvHeads * kD, 0);
    CutSequence sequence(backend, ends, layout);
    const auto weights = [&](const CutSequence::Context& c) {
      return AttnAppendWeights{c.weight({1, 1, kD}, norm), c.weight({1, 1, kD}, norm),
                               c.weight({1, kRows, kD}, table)};
    };
    const auto forward =
        sequence.run(false, {q, k, v}, [&](const CutSequence::Context& c) -> std::vector<Tensor> {
          const Tensor turned = attn_append(c.inputs[0], c.inputs[1], c.inputs[2], weights(c),
                                            1e-6F, c.state(0), c.state(1));
          return {turned, attention(turned, c.state(0), c.state(1), form)};
        });
    return sequence.run(true, {forward[0], forward[1], g_y, q, k},
                        [&](const CutSequence::Context& c) -> std::vector<Tensor> {
                          const Tensor g_turned =
                              attention_backward(c.inputs[0], c.state(0), c.state(1), form,
                                                 c.inputs[1], c.inputs[2], c.state(2), c.state(3));
                          const auto g =
                              attn_append_backward(c.inputs[3], c.inputs[4], weights(c), 1e-6F,
                                                   g_turned, c.state(2), c.state(3));
                          return {g.q, g.k, g.v};
                        });
  });
}

TEST(SplitGradients, OfAttentionAreTheSame) { check_attention({}); }
TEST(SplitGradients, OfAttentionInAWindowAreTheSame) {
  for (const std::int64_t window : {1, 5, 40, 100}) check_attention(window);
}

}  // namespace
}  // namespace bitaxon::test
