#include <cstdint>
#include <optional>
#include <vector>

#include "bitaxon/training_ops.h"
#include "cases/errors.h"
#include "core/philox.h"

namespace bitaxon::test {
namespace {

struct Spec {
  std::int64_t n_cols = 70;
  float p = 0.3F;
  std::vector<CaseSegment> segments = one_segment(5, 3);
  bool has_masks = false;
  std::uint32_t store_row = 0, first_column = 0;
  std::int64_t capacity = 40, mask_cols = 100;
};

/// Segments with numbers for dropout.
std::vector<CaseSegment> micro_segments() {
  std::vector<CaseSegment> segments = three_segments();
  segments[0].micro_batch = 5;
  segments[0].micro_row = 100;
  segments[1].micro_batch = 5;
  segments[1].micro_row = 7;
  segments[2].micro_batch = 6;
  return segments;
}

/// Whether element c of row r is kept, as the manual defines it without masks.
bool is_drawn(const OpProblem& problem, const DropoutParams& params, std::int64_t r,
              std::int64_t c) {
  const auto at = static_cast<std::uint32_t>(r);
  std::size_t g = 0;
  while (at - problem.segments()[g].first_row >= problem.segments()[g].n_rows) ++g;
  const SegmentWords& segment = problem.segments()[g];
  const std::uint32_t micro_row = segment.micro_row + at - segment.first_row + segment.position;
  const auto words = philox4x32(
      {static_cast<std::uint32_t>(c / 4), micro_row, segment.micro_batch, params.seed_high},
      {params.seed_low, params.index});
  return static_cast<float>(words[static_cast<std::size_t>(c % 4)] >> 8) * 0x1p-24F >= params.p;
}

ResultErrors errors_of(const OpProblem& problem, const Spec& spec, const DropoutParams& params,
                       std::size_t x, const std::vector<float>& given) {
  const Rounded rest = Rounded{1} + Rounded{-params.p};
  std::vector<double> allowed;
  for (std::int64_t r = 0; r < problem.valid_rows(RowSpace::rows); ++r) {
    const auto row = input_row(problem, x, r);
    for (std::int64_t c = 0; c < spec.n_cols; ++c) {
      const auto at = static_cast<std::size_t>(c);
      const auto mask = static_cast<std::size_t>(r * spec.mask_cols + spec.first_column + c);
      const bool kept = spec.has_masks ? given[mask] != 0 : is_drawn(problem, params, r, c);
      allowed.push_back(kept ? allowed_of(Rounded{row[at]} / rest) : 0);
    }
  }
  return {allowed};
}

void build(OpProblem& problem, const Spec& spec) {
  problem.set_step(spec.segments);
  problem.step.store_row = spec.store_row;
  const DropoutParams params{.p = spec.p,
                             .index = 3,
                             .seed_low = 0x12345678,
                             .seed_high = 0x9abcdef0,
                             .first_column = spec.first_column};
  const std::size_t x = problem.add_input(spec.n_cols, 1);
  std::optional<std::size_t> masks;
  std::vector<float> given;
  if (spec.has_masks) {
    masks = problem.add_store({spec.capacity, spec.mask_cols}, spec.capacity);
    for (std::uint32_t r = 0; r < problem.step.n_rows; ++r)
      for (float& value : problem.store_row(*masks, spec.store_row + r)) {
        value = problem.random().uniform(0, 1) < double{spec.p} ? 0.0F : 1.0F;
        given.push_back(value);
      }
  }
  problem.errors = [=](const OpProblem& of) { return errors_of(of, spec, params, x, given); };
  problem.record = [=](const OpHandles& h) -> std::vector<Tensor> {
    return {dropout(h.inputs[x], params, masks ? h.states[*masks] : Tensor())};
  };
}

OpCase make(std::string label, unsigned tags, Spec spec) {
  return {std::move(label), tags, {0, "one product"}, [spec = std::move(spec)](OpProblem& problem) {
            build(problem, spec);
          }};
}

}  // namespace

std::vector<OpCase> dropout_cases() {
  std::vector<OpCase> cases;
  cases.push_back(make("drawn", kEveryMode, {.segments = micro_segments()}));
  cases.push_back(make("one_element", kEdge, {.n_cols = 1, .segments = one_segment(1, 0)}));
  cases.push_back(make("odd_columns", kEdge, {.n_cols = 131, .segments = micro_segments()}));
  cases.push_back(make("most", kEdge, {.n_cols = 64, .p = 0.9F, .segments = micro_segments()}));
  cases.push_back(make("none", kEdge, {.p = 0}));
  cases.push_back(make("masks", kEdge, {.has_masks = true}));
  cases.push_back(make("masks_of_a_layer", kEdge,
                       {.n_cols = 37,
                        .segments = three_segments(),
                        .has_masks = true,
                        .store_row = 21,
                        .first_column = 63}));
  cases.push_back(make("model", kModel | kBench, {.n_cols = 2560, .segments = one_segment(64, 0)}));
  return cases;
}

}  // namespace bitaxon::test
