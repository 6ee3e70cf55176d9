// What the cases of attn_append and of its gradient share.
#pragma once

#include <cmath>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bitaxon/training_ops.h"
#include "cases/named_spec.h"

namespace bitaxon::test {

struct TurnSpec {
  DType dtype = DType::f32;  ///< of keys and values
  std::int64_t head_dim = 8;
  std::int64_t n_heads = 4;
  std::int64_t n_kv_heads = 2;
  bool norms = false;
  std::int64_t n_positions = 0;  ///< rows of the rotary table; 0: no table
  bool outside_table = false;    ///< a row is at a position outside the table, so that it gets NaN
  std::vector<CaseSegment> segments = one_segment(5, 3);
  std::int64_t capacity = 0;
};

/// The norms and the rotary table of a case.
struct TurnParts {
  std::optional<std::size_t> q_norm, k_norm, rotary;

  AttnAppendWeights weights(const OpHandles& h) const {
    const auto weight = [&](const std::optional<std::size_t>& index) {
      return index ? h.weights[*index] : Tensor();
    };
    return {weight(q_norm), weight(k_norm), weight(rotary)};
  }
};

inline TurnParts add_turn(OpProblem& p, const TurnSpec& spec) {
  TurnParts parts;
  if (spec.norms) {
    parts.q_norm = p.add_weight(Format::bf16, {1, 1, spec.head_dim}, 0.3, 1);
    parts.k_norm = p.add_weight(Format::f32, {1, 1, spec.head_dim}, 0.3, 1);
  }
  if (spec.n_positions == 0) return parts;
  std::vector<float> table;
  for (std::int64_t i = 0; i < spec.n_positions * spec.head_dim / 2; ++i) {
    const double angle = p.random().uniform(-3.14, 3.14);
    table.push_back(static_cast<float>(1.2 * std::cos(angle)));
    table.push_back(static_cast<float>(1.2 * std::sin(angle)));
  }
  parts.rotary = p.add_weight({1, spec.n_positions, spec.head_dim}, table);
  return parts;
}

/// The cases of both ops. The gradient leaves out those of float16 pages.
inline std::vector<NamedSpec<TurnSpec>> turn_specs() {
  std::vector<NamedSpec<TurnSpec>> specs;
  const auto add = [&](std::string label, unsigned tags, TurnSpec spec) {
    specs.push_back({std::move(label), tags, std::move(spec)});
  };
  struct Form {
    const char* name;
    std::int64_t head_dim, n_heads, n_kv_heads;
    bool norms, rotates;
  };
  constexpr Form kForms[] = {
      {"plain", 8, 4, 4, false, false},     {"grouped", 8, 6, 2, false, false},
      {"norms", 24, 6, 2, true, false},     {"rotation", 16, 4, 4, false, true},
      {"all", 64, 4, 2, true, true},        {"odd", 6, 5, 5, true, true},
      {"pair", 2, 3, 1, true, true},        {"odd_heads", 5, 6, 3, true, false},
      {"odd_width", 7, 3, 1, false, false}, {"one_kv_head", 130, 20, 1, true, true}};
  for (const Form& form : kForms)
    for (const DType dtype : {DType::f32, DType::f16}) {
      TurnSpec spec{.dtype = dtype,
                    .head_dim = form.head_dim,
                    .n_heads = form.n_heads,
                    .n_kv_heads = form.n_kv_heads,
                    .norms = form.norms,
                    .n_positions = form.rotates ? 61 : 0,
                    .segments = three_segments()};
      const std::string label = std::string(form.name) + "_" + std::string(name_of(dtype));
      add(label, form.head_dim == 64 ? kEdge | kEveryMode : kEdge, spec);
      spec.segments = one_segment(1, 60);  // the last row of the table
      spec.capacity = 1;
      add("one_row_" + label, kEdge, spec);
    }
  for (const std::uint32_t n : {2U, 16U, 70U})
    add("rows_" + std::to_string(n), kPlain,
        {.norms = true, .n_positions = 140, .segments = one_segment(n, 62 - n % 16)});
  add("ending_segments", kEdge, {.norms = true, .n_positions = 40, .segments = ending_segments()});
  add("outside_the_table", kEdge,
      {.n_positions = 60, .outside_table = true, .segments = one_segment(3, 58)});
  add("full_bucket", kEdge, {.n_positions = 20, .segments = one_segment(8, 5), .capacity = 8});
  add("model", kModel | kBench,
      {.head_dim = 128,
       .n_heads = 20,
       .n_kv_heads = 20,
       .norms = true,
       .n_positions = 200,
       .segments = one_segment(64, 100),
       .capacity = 64});
  return specs;
}

}  // namespace bitaxon::test
