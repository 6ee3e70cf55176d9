// Compares gradients with recorded modules of the original program (tests/golden/training).
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "bitaxon/training_ops.h"
#include "cases/op_harness.h"
#include "cpu/plain/formulas/silu_mul.h"
#include "op_tests/step_session.h"
#include "support/backends.h"
#include "support/tensors.h"

namespace bitaxon::test {
namespace {

constexpr double kBound = 1e-5;  // bound on the relative L2 error of a gradient, see case.json

using Floats = std::vector<float>;

/// A recorded case, and ops on whole sequences, which begin and end in one step.
class RecordedModule {
 public:
  explicit RecordedModule(const std::string& name)
      : file_(Checkpoint::open(golden_dir() / "training" / name / "io.safetensors")) {}

  Floats read(const std::string& name) const { return read_f32(file_, name); }
  std::vector<std::int32_t> read_integers(const std::string& name) const {
    return read_i32(file_, name);
  }
  std::int64_t dimension(const std::string& name, int axis) const {
    return info_of(file_, name).shape[axis];
  }

  /// The tensors of a sequence that run() passes on.
  struct Context {
    std::vector<Tensor> inputs, weights, states;
  };
  using Record = std::function<std::vector<Tensor>(const Context& context)>;
  struct Weight {
    Shape shape;
    Floats values;
  };
  struct Sequence {
    std::vector<Floats> inputs;
    std::vector<Weight> weights = {};
    std::vector<Shape> states = {};        ///< recurrent state, and carries
    std::vector<std::int64_t> pages = {};  ///< widths of tensors of pages
  };
  static std::vector<Floats> run(std::int64_t n_rows, const Sequence& sequence,
                                 const Record& record) {
    OpProblem problem("recorded");
    const CaseSegment segment{.n_rows = static_cast<std::uint32_t>(n_rows), .keeps_state = false};
    problem.set_step(std::span(&segment, 1));
    for (const Floats& values : sequence.inputs)
      problem.add_input<float>(std::array{std::ssize(values) / n_rows}, values);
    for (const Weight& weight : sequence.weights) problem.add_weight(weight.shape, weight.values);
    for (const Shape& shape : sequence.states) problem.add_state(DType::f32, shape);
    for (const std::int64_t width : sequence.pages) problem.add_pages(DType::f32, width, 0);
    problem.record = [&](const OpHandles& h) { return record({h.inputs, h.weights, h.states}); };
    std::vector<Floats> found;
    for (const OpResult& result : run_op(reference_backend(), problem).results) {
      if (result.row_space == RowSpace::none) continue;
      Floats& values = found.emplace_back(result.bytes.size() / sizeof(float));
      std::memcpy(values.data(), result.bytes.data(), result.bytes.size());
    }
    return found;
  }

 private:
  Checkpoint file_;
};

/// rows @ matrix: [R, n] with [n, cols]
Floats times(const Floats& rows, const Floats& matrix, std::int64_t n) {
  const std::int64_t n_rows = std::ssize(rows) / n;
  const std::int64_t cols = std::ssize(matrix) / n;
  Floats product;
  for (std::int64_t r = 0; r < n_rows; ++r)
    for (std::int64_t c = 0; c < cols; ++c) {
      double sum = 0;
      for (std::int64_t i = 0; i < n; ++i)
        sum += static_cast<double>(rows[static_cast<std::size_t>(r * n + i)]) *
               static_cast<double>(matrix[static_cast<std::size_t>(i * cols + c)]);
      product.push_back(static_cast<float>(sum));
    }
  return product;
}
/// rows @ matrix^T: [R, n] with [cols, n]
Floats times_transposed(const Floats& rows, const Floats& matrix, std::int64_t n) {
  const std::int64_t cols = std::ssize(matrix) / n;
  Floats transposed(matrix.size());
  for (std::int64_t c = 0; c < cols; ++c)
    for (std::int64_t i = 0; i < n; ++i)
      transposed[static_cast<std::size_t>(i * cols + c)] =
          matrix[static_cast<std::size_t>(c * n + i)];
  return times(rows, transposed, n);
}
Floats sum_of(Floats a, const Floats& b) {
  for (std::size_t i = 0; i < a.size(); ++i) a[i] += b[i];
  return a;
}
/// Columns [first, first + n) of rows that have `cols` columns.
Floats columns(const Floats& rows, std::int64_t cols, std::int64_t first, std::int64_t n) {
  Floats made;
  for (auto row = rows.begin(); row != rows.end(); row += cols)
    made.insert(made.end(), row + first, row + first + n);
  return made;
}

TEST(GoldenGradients, OfTheNorm) {
  const RecordedModule module("norm_grad");
  for (const auto& [variant, eps] : {std::pair("D20eps1e-06.", 1e-6F),
                                     {"D20eps0.01.", 1e-2F},
                                     {"D64eps1e-06.", 1e-6F},
                                     {"D64eps0.01.", 1e-2F}}) {
    const std::string name = variant;
    const std::int64_t n = module.dimension(name + "x", 0);
    const auto found = RecordedModule::run(
        n,
        {.inputs = {module.read(name + "x"), module.read(name + "cot")},
         .weights = {{{1, 1, module.dimension(name + "x", 1)}, module.read(name + "w.weight")}}},
        [eps = eps](const RecordedModule::Context& c) {
          return std::vector{rms_norm(c.inputs[0], c.weights[0], eps),
                             rms_norm_backward(c.inputs[0], c.weights[0], eps, c.inputs[1])};
        });
    expect_close(found[0], module.read(name + "y"), n, kBound, name + "y");
    expect_close(found[1], module.read(name + "g_x"), n, kBound, name + "g_x");
  }
}

TEST(GoldenGradients, OfTheHead) {
  const RecordedModule module("head_grad");
  for (const std::string name : {"plain.", "rows300.", "large."}) {
    const std::int64_t n = module.dimension(name + "x", 0), d = module.dimension(name + "x", 1);
    const std::int64_t s = module.dimension(name + "w.output_proj.weight", 0);
    const std::int64_t v = module.dimension(name + "logits", 1);
    const auto found = RecordedModule::run(
        n,
        {.inputs = {module.read(name + "x"), module.read(name + "g_logits")},
         .weights = {{{1, s, d}, module.read(name + "w.output_proj.weight")},
                     {{1, v, s}, module.read(name + "w.lm_head.weight")}}},
        [&](const RecordedModule::Context& c) {
          return std::vector{
              linear(linear(c.inputs[0], c.weights[0]), c.weights[1]),
              linear_backward(linear_backward(c.inputs[1], c.weights[1], s), c.weights[0], d)};
        });
    expect_close(found[0], module.read(name + "logits"), n, kBound, name + "logits");
    expect_close(found[1], module.read(name + "g_x"), n, kBound, name + "g_x");
  }
}

/// The recorded loss is the mean over the targets. More targets than one step of a head has are one
/// step here.
TEST(GoldenGradients, OfTheLoss) {
  const RecordedModule module("head_grad");
  for (const std::string name : {"plain.", "rows300.", "large."}) {
    const std::vector<std::int32_t> labels = module.read_integers(name + "labels");
    const Floats logits = module.read(name + "logits"), g_logits = module.read(name + "g_logits");
    const std::size_t vocab_size = logits.size() / labels.size();
    OpProblem problem("recorded");
    std::vector<std::int32_t> targets;
    Floats rows, expected;
    for (std::size_t r = 0; r < labels.size(); ++r) {
      const auto row = [&](const Floats& of) {
        return std::span(of).subspan(r * vocab_size, vocab_size);
      };
      if (labels[r] < 0) {  // the gradient of a row without a target is 0
        for (const float gradient : row(g_logits)) EXPECT_EQ(gradient, 0) << name << r;
        continue;
      }
      targets.push_back(labels[r]);
      rows.insert(rows.end(), row(logits).begin(), row(logits).end());
      expected.insert(expected.end(), row(g_logits).begin(), row(g_logits).end());
    }
    const auto n = static_cast<std::uint32_t>(targets.size());
    const CaseSegment segment{.n_rows = n, .n_outputs = n, .keeps_state = false};
    problem.set_step(std::span(&segment, 1));
    problem.ids_of_outputs = true;
    std::ranges::copy(targets, problem.step.ids.begin());
    const auto input = problem.add_input<float>(std::array{static_cast<std::int64_t>(vocab_size)},
                                                rows, RowSpace::outputs);
    const auto factors = problem.add_store({1, n}, n);
    std::ranges::fill(problem.shared_values(factors), 1.0F / static_cast<float>(n));
    const auto log_probs = problem.add_store({1, n}, n);
    problem.may_write({.state = log_probs, .rows = RowSpace::outputs});
    problem.record = [&](const OpHandles& h) {
      return std::vector{cross_entropy(h.inputs[input], h.states[factors], h.states[log_probs])};
    };
    Floats found;
    double loss = 0;
    for (const OpResult& result : run_op(reference_backend(), problem).results) {
      Floats values(result.bytes.size() / sizeof(float));
      std::memcpy(values.data(), result.bytes.data(), result.bytes.size());
      if (result.row_space == RowSpace::outputs)
        found.insert(found.end(), values.begin(), values.end());
      else
        for (const float log_prob : values) loss -= double{log_prob} / n;
    }
    expect_close(found, expected, n, kBound, name + "g_logits");
    EXPECT_NEAR(loss, module.read(name + "loss")[0], 1e-6 * (1 + loss)) << name;
  }
}

TEST(GoldenGradients, OfTheConvolution) {
  const RecordedModule module("conv_grad");
  for (const std::string variant : {"E12K4", "E7K2"})
    for (const std::int64_t n : {1, 2, 9}) {
      const std::string name = fmt::format("{}.L{}.", variant, n);
      const std::int64_t d_inner = module.dimension(name + "x", 1);
      const std::int64_t d_conv = module.dimension(variant + ".w.conv1d.weight", 1);
      const Floats v = module.read(name + "x");
      const Floats cot = module.read(name + "cot");
      Floats vz;  // z is not used
      for (std::int64_t r = 0; r < n; ++r)
        for (int part = 0; part < 2; ++part)
          vz.insert(vz.end(), v.begin() + r * d_inner, v.begin() + (r + 1) * d_inner);
      const auto found = RecordedModule::run(
          n,
          {.inputs = {vz, cot},
           .weights = {{{1, d_inner, d_conv}, module.read(variant + ".w.conv1d.weight")},
                       {{1, 1, d_inner}, module.read(variant + ".w.conv1d.bias")}},
           .states = {{d_conv - 1, d_inner}, {d_conv - 1, d_inner}}},
          [](const RecordedModule::Context& c) {
            return std::vector{
                ssm_conv(c.inputs[0], c.weights[0], c.weights[1], c.states[0]).u,
                ssm_conv_backward(c.inputs[0], c.weights[0], c.weights[1], c.states[0], c.inputs[1],
                                  c.inputs[1], c.states[1])};
          });
      expect_close(found[0], module.read(name + "y"), n, kBound, name + "y");
      expect_close(columns(found[1], 2 * d_inner, 0, d_inner), module.read(name + "g_x"), n, kBound,
                   name + "g_x");
    }
}

TEST(GoldenGradients, OfTheScan) {
  const RecordedModule module("scan_grad");
  const std::int64_t e = module.dimension("w.A_log", 0);
  const std::int64_t n_states = module.dimension("w.A_log", 1);
  const std::int64_t d_conv = module.dimension("w.conv1d.weight", 1);
  const std::int64_t d_model = module.dimension("w.out_proj.weight", 0);
  for (const std::int64_t n : {1, 7, 66}) {
    const auto read = [&](const std::string& name) {
      return module.read(fmt::format("L{}.{}", n, name));
    };
    const std::string what = fmt::format("L{}.", n);
    const Floats vz = read("vz");
    const Floats z = columns(vz, 2 * e, e, e);
    // The gradient of the gated result.
    const Floats g_y = times(read("cot"), module.read("w.out_proj.weight"), d_model);
    const auto scan = RecordedModule::run(n,
                                          {.inputs = {read("scan_u"), read("BCr"), z, g_y},
                                           .weights = {{{1, e, 1}, module.read("w.dt_proj.weight")},
                                                       {{1, 1, e}, module.read("w.dt_proj.bias")},
                                                       {{1, e, n_states}, module.read("w.A_log")},
                                                       {{1, 1, e}, module.read("w.D")}},
                                           .states = {{n_states, e}, {n_states, e}}},
                                          [](const RecordedModule::Context& c) {
                                            const auto g = selective_scan_backward(
                                                c.inputs[0], c.inputs[1], {}, c.inputs[2],
                                                {.dt_weight = c.weights[0],
                                                 .dt_bias = c.weights[1],
                                                 .a_log = c.weights[2],
                                                 .skip = c.weights[3]},
                                                {.clip = TimeStepClip{1e-4F, 100}}, c.states[0],
                                                c.inputs[3], c.states[1]);
                                            return std::vector{g.u, g.params, g.z};
                                          });
    expect_close(scan[0], read("g_scan_u"), n, kBound, what + "g_scan_u");
    expect_close(scan[1], read("g_BCr"), n, kBound, what + "g_BCr");
    const Floats g_vz = read("g_vz");
    expect_close(scan[2], columns(g_vz, 2 * e, e, e), n, kBound, what + "g_z");

    const Floats g_u =
        sum_of(scan[0], times(scan[1], module.read("w.x_proj.weight"), 2 * n_states + 1));
    const auto conv = RecordedModule::run(
        n,
        {.inputs = {vz, g_u, scan[2]},
         .weights = {{{1, e, d_conv}, module.read("w.conv1d.weight")},
                     {{1, 1, e}, module.read("w.conv1d.bias")}},
         .states = {{d_conv - 1, e}, {d_conv - 1, e}}},
        [](const RecordedModule::Context& c) {
          return std::vector{ssm_conv_backward(c.inputs[0], c.weights[0], c.weights[1], c.states[0],
                                               c.inputs[1], c.inputs[2], c.states[1])};
        });
    expect_close(conv[0], g_vz, n, kBound, what + "g_vz");
  }
}

TEST(GoldenGradients, OfAttention) {
  const RecordedModule module("attn_grad");
  struct Variant {
    const char* name;
    std::int64_t n_heads, window, n_rows;
  };
  for (const Variant& v : {Variant{"D24W5", 3, 5, 1}, Variant{"D24W5", 3, 5, 4},
                           Variant{"D24W5", 3, 5, 23}, Variant{"D16W64", 2, 64, 12}}) {
    const std::string name = fmt::format("{}.L{}.", v.name, v.n_rows);
    const std::int64_t d = module.dimension(name + "q", 1);
    const Floats g_y =
        times(module.read(name + "cot"), module.read(std::string(v.name) + ".w.o_proj.weight"), d);
    const AttentionForm form{.n_heads = v.n_heads, .n_kv_heads = v.n_heads, .window = v.window};
    const auto found = RecordedModule::run(
        v.n_rows,
        {.inputs = {module.read(name + "q"), module.read(name + "k"), module.read(name + "v"), g_y},
         .pages = {d, d, d, d}},
        [&](const RecordedModule::Context& c) -> std::vector<Tensor> {
          const Tensor q =
              attn_append(c.inputs[0], c.inputs[1], c.inputs[2], {}, 0, c.states[0], c.states[1]);
          const Tensor y = attention(q, c.states[0], c.states[1], form);
          const Tensor g_q = attention_backward(q, c.states[0], c.states[1], form, y, c.inputs[3],
                                                c.states[2], c.states[3]);
          const auto g =
              attn_append_backward(c.inputs[0], c.inputs[1], {}, 0, g_q, c.states[2], c.states[3]);
          return {g.q, g.k, g.v};
        });
    // With a single key, the gradients of queries and keys are 0 up to rounding.
    if (v.n_rows > 1) {
      expect_close(found[0], module.read(name + "g_q"), v.n_rows, kBound, name + "g_q");
      expect_close(found[1], module.read(name + "g_k"), v.n_rows, kBound, name + "g_k");
    } else {
      for (const Floats& rows : {found[0], found[1]})
        for (const float g : rows) EXPECT_LE(std::abs(g), 1e-6F);
    }
    expect_close(found[2], module.read(name + "g_v"), v.n_rows, kBound, name + "g_v");
  }
}

/// A mixture of experts with a shared expert, whose gradient the test computes.
struct MoeModule {
  const RecordedModule& module;
  std::string variant;
  std::int64_t d, intermediate, n_experts, top_k;

  Floats weight(const std::string& name) const {
    return module.read(variant + ".w." + name + ".weight");
  }
  RecordedModule::Weight matrix(const std::string& name, std::int64_t rows,
                                std::int64_t cols) const {
    return {{n_experts, rows, cols}, weight("switch_mlp." + name)};
  }
};

/// The result of SwiGLU and its gradients, for elements of gate and up.
struct SwigluGradients {
  Floats act, gate, up;
};
SwigluGradients swiglu_gradients(const Floats& gate, const Floats& up, const Floats& g_act) {
  SwigluGradients g;
  for (std::size_t i = 0; i < gate.size(); ++i) {
    const auto a = static_cast<double>(gate[i]);
    const auto b = static_cast<double>(up[i]);
    const auto of_act = static_cast<double>(g_act.empty() ? 0.0F : g_act[i]);
    g.act.push_back(static_cast<float>(cpu::formulas::silu(a) * b));
    g.gate.push_back(static_cast<float>(of_act * b * cpu::formulas::silu_slope(a)));
    g.up.push_back(static_cast<float>(of_act * cpu::formulas::silu(a)));
  }
  return g;
}

/// The part of the gradient of x that goes through the shared expert. Sets the gradients of its
/// gates.
Floats shared_gradient(const MoeModule& m, const Floats& x, const Floats& cot, const Floats& gates,
                       Floats& g_gates) {
  const Floats gate_weight = m.weight("shared_expert.gate_proj");
  const Floats up_weight = m.weight("shared_expert.up_proj");
  const Floats gate = times_transposed(x, gate_weight, m.d);
  const Floats up = times_transposed(x, up_weight, m.d);
  Floats g_act = times(cot, m.weight("shared_expert.down_proj"), m.d);
  const Floats act = swiglu_gradients(gate, up, {}).act;
  for (std::size_t i = 0; i < g_act.size(); ++i) {
    const std::size_t row = i / static_cast<std::size_t>(m.intermediate);
    const std::size_t at = (row + 1) * static_cast<std::size_t>(m.top_k + 1) - 1;
    g_gates[at] += g_act[i] * act[i];
    g_act[i] *= gates[at];
  }
  const SwigluGradients g = swiglu_gradients(gate, up, g_act);
  return sum_of(times(g.gate, gate_weight, m.intermediate), times(g.up, up_weight, m.intermediate));
}

void check_moe(const MoeModule& m, std::int64_t n) {
  const std::string name = fmt::format("{}.L{}.", m.variant, n);
  const Floats x = m.module.read(name + "x");
  const Floats cot = m.module.read(name + "cot");
  const RecordedModule::Weight router{{1, m.n_experts, m.d}, m.weight("gate")};
  const RecordedModule::Weight shared_gate{{1, 1, m.d}, m.weight("shared_expert_gate")};
  const RecordedModule::Weight gate = m.matrix("gate_proj", m.intermediate, m.d);
  const RecordedModule::Weight up = m.matrix("up_proj", m.intermediate, m.d);
  const RecordedModule::Weight down = m.matrix("down_proj", m.d, m.intermediate);
  using Context = RecordedModule::Context;
  const auto forward = RecordedModule::run(
      n, {.inputs = {x}, .weights = {router, shared_gate, gate, up}}, [&](const Context& c) {
        const auto r = moe_route(c.inputs[0], {}, 0, c.weights[0], c.weights[1], m.top_k);
        const MoeGateUpResult made = moe_gate_up(r.normed, r.experts, c.weights[2], c.weights[3]);
        return std::vector{r.gates, made.gate, made.up};
      });
  const Floats act = swiglu_gradients(forward[1], forward[2], {}).act;
  StepSession session(reference_backend(), 1);
  const auto pack = [&](const StepSession::Context& c, const RecordedModule::Weight& weight) {
    return c.graph.weight(packed_weight(session.backend(), weight.shape, weight.values));
  };
  const SessionInput of_act{DType::f32, {m.top_k, m.intermediate}, std::as_bytes(std::span(act))};
  const SessionInput down_inputs[] = {rows_of(x, m.d), rows_of(cot, m.d), of_act};
  const auto through_down =
      session.run(static_cast<std::uint32_t>(n), down_inputs, [&](const StepSession::Context& c) {
        const auto r =
            moe_route(c.inputs[0], {}, 0, pack(c, router), pack(c, shared_gate), m.top_k);
        const auto g =
            moe_down_backward(c.inputs[2], r.experts, r.gates, pack(c, down), c.inputs[1]);
        return std::vector{g.act, g.gates};
      });
  const SwigluGradients g = swiglu_gradients(forward[1], forward[2], through_down[0]);
  Floats g_gates = through_down[1];
  const Floats through_shared = shared_gradient(m, x, cot, forward[0], g_gates);
  const SessionInput up_inputs[] = {
      rows_of(x, m.d),
      {DType::f32, {m.top_k, m.intermediate}, std::as_bytes(std::span(g.gate))},
      {DType::f32, {m.top_k, m.intermediate}, std::as_bytes(std::span(g.up))},
      rows_of(through_shared, m.d),
      rows_of(g_gates, m.top_k + 1)};
  const auto found =
      session.run(static_cast<std::uint32_t>(n), up_inputs, [&](const StepSession::Context& c) {
        const auto r =
            moe_route(c.inputs[0], {}, 0, pack(c, router), pack(c, shared_gate), m.top_k);
        const Tensor through_experts =
            moe_gate_up_backward(c.inputs[1], c.inputs[2], r.experts, pack(c, gate), pack(c, up));
        const auto back = [&](const Tensor& g_normed, const Tensor& of_gates) {
          return moe_route_backward(c.inputs[0], {}, 0, pack(c, router), pack(c, shared_gate),
                                    false, r, g_normed, of_gates);
        };
        // The gradients are linear in g_normed.
        return std::vector{back(through_experts, c.inputs[4]), back(c.inputs[3], {})};
      });
  expect_close(sum_of(found[0], found[1]), m.module.read(name + "g_x"), n, kBound, name + "g_x");
}

TEST(GoldenGradients, OfTheExperts) {
  const RecordedModule module("moe_grad");
  for (const std::int64_t n : {1, 9, 36}) check_moe({module, "top2", 20, 12, 4, 2}, n);
  check_moe({module, "all", 12, 8, 3, 3}, 7);
  check_moe({module, "skewed", 12, 10, 4, 2}, 10);
}

}  // namespace
}  // namespace bitaxon::test
