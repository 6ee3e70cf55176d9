// The definition of the model, for activations x:
//   rms(x) = w * x / sqrt(mean(x^2) + eps)
//   ssm:      x += SSM(rms(x))
//   swa_moe:  x += SWA(rms(x));  x += MoE(rms(x))
//   ssm_moe:  x += SSM(rms(x));  x += MoE(rms(x))
//   logits = lm_head @ (output_proj @ x)
#include "model_tests/brute_force.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>

#include "model_tests/plain_math.h"

namespace bitaxon::test {
namespace {

class Forward {
 public:
  Forward(const BitAxonConfig& config, const CapturedWeights& weights)
      : config_(config), weights_(weights) {}

  BruteForceResult run(std::span<const std::int32_t> ids);

 private:
  const std::vector<float>& values(const std::string& name) const {
    return weights_.at(name).values;
  }
  double value(const std::string& name, std::size_t i) const {
    return static_cast<double>(values(name)[i]);
  }
  /// The product of a matrix and x. `matrix` is the number of the matrix in the tensor `name`.
  Row product(const std::string& name, const Row& x, std::size_t matrix = 0) const {
    return test::product(weights_.at(name), x, matrix);
  }
  Row rms(const std::string& name, const Row& x) const {
    return test::rms(values(name), x, config_.rms_norm_eps);
  }
  Rows ssm(const std::string& prefix, const Rows& x) const;
  Rows swa(const std::string& prefix, const Rows& x) const;
  Row swiglu(const std::string& prefix, const Row& x, std::size_t expert) const;
  Row moe(const std::string& prefix, const Row& x);

  const BitAxonConfig& config_;
  const CapturedWeights& weights_;
  double margin_ = 1;
};

Rows Forward::ssm(const std::string& prefix, const Rows& x) const {
  const auto d_inner = static_cast<std::size_t>(config_.d_inner());
  const auto d_state = static_cast<std::size_t>(config_.ssm_d_state);
  const auto d_conv = static_cast<std::size_t>(config_.ssm_d_conv);
  Rows v, z, out;
  for (const Row& row : x) {
    const Row both = product(prefix + "in_proj.weight", row);
    const auto middle = both.begin() + static_cast<std::ptrdiff_t>(d_inner);
    v.emplace_back(both.begin(), middle);
    z.emplace_back(middle, both.end());
  }
  Rows h(d_inner, Row(d_state, 0.0));
  for (std::size_t t = 0; t < x.size(); ++t) {
    Row u(d_inner), y(d_inner);
    for (std::size_t e = 0; e < d_inner; ++e) {
      u[e] = value(prefix + "conv1d.bias", e);
      for (std::size_t k = 0; k < d_conv; ++k)
        if (t + k + 1 >= d_conv)
          u[e] += value(prefix + "conv1d.weight", e * d_conv + k) * v[t + k + 1 - d_conv][e];
      u[e] = silu(u[e]);
    }
    const Row bcr = product(prefix + "x_proj.weight", u);
    for (std::size_t e = 0; e < d_inner; ++e) {
      const double raw = bcr[2 * d_state] * value(prefix + "dt_proj.weight", e) +
                         value(prefix + "dt_proj.bias", e);
      const double dt = std::clamp(std::log1p(std::exp(raw)), 1e-4, 100.0);
      y[e] = value(prefix + "D", e) * u[e];
      for (std::size_t n = 0; n < d_state; ++n) {
        const double a = -std::exp(value(prefix + "A_log", e * d_state + n));
        h[e][n] = std::exp(dt * a) * h[e][n] + dt * u[e] * bcr[n];
        y[e] += h[e][n] * bcr[d_state + n];
      }
      y[e] *= silu(z[t][e]);
    }
    out.push_back(product(prefix + "out_proj.weight", y));
  }
  return out;
}

Rows Forward::swa(const std::string& prefix, const Rows& x) const {
  Rows q, k, v, out;
  for (const Row& row : x) {
    q.push_back(product(prefix + "q_proj.weight", row));
    k.push_back(product(prefix + "k_proj.weight", row));
    v.push_back(product(prefix + "v_proj.weight", row));
  }
  const PlainAttention how{.head_dim = static_cast<std::size_t>(config_.head_dim()),
                           .window = config_.swa_window_size};
  for (const Row& row : attend(q, k, v, how)) out.push_back(product(prefix + "o_proj.weight", row));
  return out;
}

Row Forward::swiglu(const std::string& prefix, const Row& x, std::size_t expert) const {
  Row gate = product(prefix + "gate_proj.weight", x, expert);
  const Row up = product(prefix + "up_proj.weight", x, expert);
  for (std::size_t i = 0; i < gate.size(); ++i) gate[i] = silu(gate[i]) * up[i];
  return product(prefix + "down_proj.weight", gate, expert);
}

Row Forward::moe(const std::string& prefix, const Row& x) {
  Row g = product(prefix + "gate.weight", x);
  const double largest = *std::max_element(g.begin(), g.end());
  double total = 0;
  for (double& value : g) total += value = std::exp(value - largest);
  for (double& value : g) value /= total;
  std::vector<std::size_t> order(g.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return g[a] > g[b]; });
  const auto top_k = static_cast<std::size_t>(config_.moe_top_k);
  if (top_k < order.size()) margin_ = std::min(margin_, g[order[top_k - 1]] - g[order[top_k]]);
  Row y(x.size(), 0.0);
  const auto add = [&](const Row& part, double factor) {
    for (std::size_t i = 0; i < y.size(); ++i) y[i] += factor * part[i];
  };
  for (std::size_t s = 0; s < top_k; ++s)
    add(swiglu(prefix + "switch_mlp.", x, order[s]), g[order[s]]);
  if (config_.moe_shared_expert) {
    const double gate = product(prefix + "shared_expert_gate.weight", x)[0];
    add(swiglu(prefix + "shared_expert.", x, 0), 1 / (1 + std::exp(-gate)));
  }
  return y;
}

BruteForceResult Forward::run(std::span<const std::int32_t> ids) {
  const auto d_source = static_cast<std::size_t>(config_.d_source_model);
  Rows x;
  for (const std::int32_t id : ids) {
    const float* row =
        values("embed_tokens.weight").data() + static_cast<std::size_t>(id) * d_source;
    x.push_back(product("input_proj.weight", Row(row, row + d_source)));
  }
  for (std::int64_t i = 0; i < config_.num_layers; ++i) {
    const std::string layer = "layer_" + std::to_string(i) + ".";
    const std::int64_t third = config_.num_layers / 3;
    const bool attends = i >= third && i < 2 * third;
    Rows normed;
    for (const Row& row : x) normed.push_back(rms(layer + "input_norm.weight", row));
    const Rows mixed = attends ? swa(layer + "attention.", normed) : ssm(layer + "ssm.", normed);
    const std::string norm =
        layer + (attends ? "post_attention_norm" : "post_ssm_norm") + ".weight";
    for (std::size_t r = 0; r < x.size(); ++r) {
      for (std::size_t c = 0; c < x[r].size(); ++c) x[r][c] += mixed[r][c];
      if (i < third) continue;
      const Row added = moe(layer + "moe.", rms(norm, x[r]));
      for (std::size_t c = 0; c < x[r].size(); ++c) x[r][c] += added[c];
    }
  }
  BruteForceResult result;
  const std::string head =
      weights_.count("lm_head.weight") != 0 ? "lm_head.weight" : "embed_tokens.weight";
  for (const Row& row : x)
    for (const double logit : product(head, product("output_proj.weight", row)))
      result.logits.push_back(static_cast<float>(logit));
  result.min_router_margin = margin_;
  return result;
}

}  // namespace

BruteForceResult brute_force(const BitAxonConfig& config, const CapturedWeights& weights,
                             std::span<const std::int32_t> ids) {
  return Forward(config, weights).run(ids);
}

}  // namespace bitaxon::test
