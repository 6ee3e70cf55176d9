// What the cases of ssm_conv and of its gradient share.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "cases/errors.h"
#include "cases/named_spec.h"

namespace bitaxon::test {

struct ConvSpec {
  Format format = Format::f32;
  std::int64_t d_inner = 48;
  std::int64_t d_conv = 4;
  std::vector<CaseSegment> segments = one_segment(5, 3);
  std::int64_t capacity = 0;
  bool bias = true;
  double spread = 1;
};

/// The operands that both ops have.
struct ConvParts {
  std::size_t vz, taps, bias, tail;
};

inline ConvParts add_conv(OpProblem& p, const ConvSpec& spec) {
  p.set_step(spec.segments, spec.capacity);
  ConvParts parts{};
  parts.vz = p.add_input(2 * spec.d_inner, spec.spread);
  parts.taps = p.add_weight(spec.format, {1, spec.d_inner, spec.d_conv}, 0.5);
  if (spec.bias) parts.bias = p.add_weight(spec.format, {1, 1, spec.d_inner}, 0.3);
  parts.tail = p.add_state(DType::f32, {spec.d_conv - 1, spec.d_inner});
  p.fill_state(parts.tail, spec.spread);
  return parts;
}

inline std::vector<CaseSegment> in_place(std::uint32_t n_rows) {
  return {{.slot = 1, .n_rows = n_rows, .position = 9, .read_version = 1, .write_version = 1}};
}

/// The cases of both ops.
inline std::vector<NamedSpec<ConvSpec>> conv_specs() {
  std::vector<NamedSpec<ConvSpec>> specs;
  const auto add = [&](std::string label, unsigned tags, ConvSpec spec) {
    specs.push_back({std::move(label), tags, std::move(spec)});
  };
  for (const Format format : {Format::f32, Format::f16, Format::bf16})
    add("format_" + std::string(name_of(format)), format == Format::f16 ? kEveryMode : kPlain,
        {.format = format});
  for (const std::uint32_t n : {1U, 2U, 3U, 5U, 16U, 33U})
    for (const std::uint32_t position : {0U, 6U})
      add("rows_" + std::to_string(n) + "_at_" + std::to_string(position), kPlain,
          {.segments = one_segment(n, position), .capacity = n == 1 ? 1 : 0});
  add("full_bucket", kEdge, {.segments = one_segment(8, 1), .capacity = 8});
  add("odd_sizes", kEdge, {.d_inner = 13, .d_conv = 3, .segments = three_segments()});
  add("one_tap", kEdge, {.d_conv = 1, .segments = three_segments()});
  add("two_taps", kEdge, {.d_conv = 2, .segments = three_segments()});
  add("more_taps_than_rows", kEdge, {.d_conv = 9, .segments = three_segments()});
  add("three_segments", kEdge, {.segments = three_segments()});
  add("ending_segments", kEdge, {.segments = ending_segments()});
  add("ending_segments_of_many_taps", kEdge, {.d_conv = 9, .segments = ending_segments()});
  add("without_bias", kEdge, {.segments = three_segments(), .bias = false});
  add("saturated", kEdge, {.segments = three_segments(), .spread = 40});
  add("tiny_values", kEdge, {.spread = 1e-15});
  for (const std::uint32_t n : {2U, 7U})
    add("in_place_" + std::to_string(n), kEdge, {.segments = in_place(n)});
  add("long_segments", kEdge, {.d_inner = 65, .segments = long_segments()});
  add("model", kModel | kBench,
      {.d_inner = 7680, .segments = one_segment(64, 100), .capacity = 64});
  return specs;
}

}  // namespace bitaxon::test
