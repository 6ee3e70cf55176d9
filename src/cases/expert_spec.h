// What the cases of moe_gate_up, its gradient and that of moe_down share.
#pragma once

#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "bitaxon/training_ops.h"
#include "cases/errors.h"
#include "cases/moe_experts.h"
#include "cases/named_spec.h"

namespace bitaxon::test {

struct ExpertSpec {
  Format format = Format::f32;
  std::int64_t d_model = 96;
  std::int64_t intermediate = 64;
  std::int64_t n_experts = 6;
  std::int64_t top_k = 2;
  std::vector<CaseSegment> segments = one_segment(5, 3);
  std::int64_t capacity = 0;
  Routing routing = Routing::random;

  std::size_t add_experts(OpProblem& p) const {
    const std::int64_t row[] = {top_k};
    return p.add_input<std::int32_t>(row, routed(p, routing, n_experts, top_k));
  }
  /// Adds an input [R, top_k, I].
  std::size_t add_slots(OpProblem& p) const {
    const std::int64_t row[] = {top_k, intermediate};
    std::vector<float> values(
        static_cast<std::size_t>(p.valid_rows(RowSpace::rows) * top_k * intermediate));
    for (float& value : values) value = p.random().centred(1);
    return p.add_input<float>(row, values);
  }
  /// Adds a matrix for each expert.
  std::size_t add_matrices(OpProblem& p, std::int64_t rows, std::int64_t cols) const {
    return p.add_weight(format, {n_experts, rows, cols}, 1 / std::sqrt(static_cast<double>(cols)));
  }
};

inline std::vector<NamedSpec<ExpertSpec>> expert_specs() {
  std::vector<NamedSpec<ExpertSpec>> specs;
  const auto add = [&](std::string label, unsigned tags, ExpertSpec spec) {
    specs.push_back({std::move(label), tags, std::move(spec)});
  };
  for (const Format format : kEveryFormat)
    for (const std::uint32_t n : {5U, 33U})
      add("format_" + std::string(name_of(format)) + "_rows_" + std::to_string(n),
          n == 33 ? kExhaustive : tags_of(format),
          {.format = format, .d_model = 128, .intermediate = 128, .segments = one_segment(n, 0)});
  for (const std::uint32_t n : {1U, 2U, 16U, 17U, 65U})
    add("rows_" + std::to_string(n), kPlain,
        {.segments = one_segment(n, 0), .capacity = n == 1 ? 1 : 0});
  for (const std::uint32_t n : {3U, 19U}) {
    const std::string rows = "_rows_" + std::to_string(n);
    add("odd_sizes" + rows, kEdge,
        {.d_model = 13,
         .intermediate = 7,
         .n_experts = 5,
         .top_k = 3,
         .segments = one_segment(n, 0)});
    add("odd_sizes_nf4" + rows, kEdge,
        {.format = Format::nf4_g64,
         .d_model = 37,
         .intermediate = 139,
         .segments = one_segment(n, 0)});
    add("every_expert" + rows, kEdge, {.n_experts = 4, .top_k = 4, .segments = one_segment(n, 0)});
    add("one_expert" + rows, kEdge,
        {.segments = one_segment(n, 0), .routing = Routing::one_expert});
    add("empty_experts" + rows, kEdge,
        {.n_experts = 9, .segments = one_segment(n, 0), .routing = Routing::some_empty});
    add("single_expert" + rows, kEdge, {.n_experts = 1, .top_k = 1, .segments = one_segment(n, 0)});
  }
  add("full_bucket", kEdge, {.segments = one_segment(32, 0), .capacity = 32});
  add("model", kModel | kBench,
      {.format = Format::q4_g64,
       .d_model = 2560,
       .intermediate = 4096,
       .n_experts = 4,
       .segments = one_segment(4, 100)});
  return specs;
}

}  // namespace bitaxon::test
