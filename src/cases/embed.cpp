#include <limits>

#include "cases/errors.h"

namespace bitaxon::test {
namespace {

struct Spec {
  Format format = Format::f32;
  std::int64_t vocab_size = 70;
  std::int64_t cols = 128;
  std::vector<CaseSegment> segments = one_segment(5, 3);
  std::vector<std::int32_t> ids = {};      ///< the ids of the step; random if empty
  std::vector<std::int32_t> sampled = {};  ///< tokens of the previous step, one per segment
};

/// The id that the op must use for each row. If ids_from_state is set, the id comes from the state,
/// otherwise from the step.
std::vector<std::int32_t> ids_of(const OpProblem& p, const Spec& spec) {
  std::vector<std::int32_t> ids(p.step.ids.begin(), p.step.ids.begin() + p.step.n_rows);
  for (std::size_t i = 0; i < spec.sampled.size(); ++i)
    if (p.segments()[i].ids_from_state != 0) ids[p.segments()[i].first_row] = spec.sampled[i];
  return ids;
}

/// The allowed error of each element. Dense rows are copied without error. The backend and the
/// reference both decode the other rows, and their roundings may differ.
std::vector<double> decoding_errors(const OpProblem& p, std::size_t table, const Spec& spec) {
  WeightRows rows(p.weights()[table]);
  std::vector<double> allowed;
  for (const std::int32_t id : ids_of(p, spec)) {
    if (id < 0 || id >= spec.vocab_size) {
      allowed.insert(allowed.end(), static_cast<std::size_t>(spec.cols), 0.0);
      continue;
    }
    const WeightRow row = rows.row(id);
    for (std::size_t c = 0; c < row.values.size(); ++c)
      allowed.push_back(2 * row.roundings * kRounding * row.size(c));
  }
  return allowed;
}

void build(OpProblem& p, const Spec& spec) {
  p.set_step(spec.segments);
  for (std::uint32_t r = 0; r < p.step.n_rows; ++r)
    p.step.ids[r] = spec.ids.empty() ? static_cast<std::int32_t>(p.random().below(spec.vocab_size))
                                     : spec.ids[r];
  // The rows beyond the valid rows also have valid ids.
  for (std::size_t r = p.step.n_rows; r < p.step.ids.size(); ++r) p.step.ids[r] = 1;
  const auto table = p.add_weight(spec.format, {1, spec.vocab_size, spec.cols}, 1);
  const auto seen = p.add_state(DType::u32, {(spec.vocab_size + 31) / 32});
  const auto next_token = p.add_state(DType::i32, {1});
  for (std::size_t i = 0; i < spec.segments.size(); ++i) {
    const SegmentWords& segment = p.segments()[i];
    if (segment.position == 0) continue;
    auto* bits =
        reinterpret_cast<std::uint32_t*>(p.state_bytes(seen, segment.slot, segment.read_version));
    for (std::int64_t word = 0; word < (spec.vocab_size + 31) / 32; ++word)
      bits[word] = static_cast<std::uint32_t>(p.random().next() & p.random().next());
    if (i < spec.sampled.size())
      *reinterpret_cast<std::int32_t*>(
          p.state_bytes(next_token, segment.slot, segment.read_version)) = spec.sampled[i];
  }
  p.errors = [=](const OpProblem& problem) {
    ResultErrors errors = {decoding_errors(problem, table, spec)};
    // The other results are integers without allowed errors.
    for (const SegmentWords& segment : problem.segments())
      if (segment.keeps_state != 0) errors.emplace_back();
    return errors;
  };
  p.record = [=](const OpHandles& h) -> std::vector<Tensor> {
    return {embed(h.weights[table], h.states[seen], h.states[next_token], h.n_rows)};
  };
}

OpCase make(std::string label, unsigned tags, Spec spec) {
  return {std::move(label),
          tags,
          {0, "the roundings of decoding a row"},
          [spec = std::move(spec)](OpProblem& p) { build(p, spec); }};
}

std::vector<CaseSegment> sampled_segments() {
  auto segments = three_segments();
  for (CaseSegment& segment : segments) segment.n_rows = 1;
  segments[0].ids_from_state = segments[2].ids_from_state = true;
  return segments;
}

}  // namespace

std::vector<OpCase> embed_cases() {
  constexpr std::int32_t kLargest = std::numeric_limits<std::int32_t>::max();
  std::vector<OpCase> cases;
  for (Format format : kEveryFormat)
    cases.push_back(
        make("format_" + std::string(name_of(format)), tags_of(format), {.format = format}));
  for (Format format : {Format::q8_g32, Format::fp4_g64, Format::nvfp4_nested})
    cases.push_back(make("format_" + std::string(name_of(format)), kEdge, {.format = format}));
  cases.push_back(
      make("odd_rows_of_8_bits", kEdge, {.format = Format::q8_rows, .vocab_size = 37, .cols = 7}));
  for (std::uint32_t n : {1U, 2U, 16U, 33U})
    cases.push_back(
        make("rows_" + std::to_string(n), kPlain, {.segments = one_segment(n, n == 16 ? 0 : 9)}));
  cases.push_back(make("odd_sizes", kEdge, {.vocab_size = 37, .cols = 7}));
  cases.push_back(
      make("nf4_across_rows", kEdge, {.format = Format::nf4_g64, .vocab_size = 37, .cols = 7}));
  cases.push_back(make("one_token_vocabulary", kEdge, {.vocab_size = 1, .cols = 1}));
  cases.push_back(make("last_bit_of_word", kEdge,
                       {.vocab_size = 32, .segments = one_segment(3, 0), .ids = {31, 0, 31}}));
  cases.push_back(make("first_bit_of_word", kEdge,
                       {.vocab_size = 33, .segments = one_segment(3, 2), .ids = {32, 32, 31}}));
  cases.push_back(make("ids_outside_vocabulary", kEdge,
                       {.ids = {-1, 70, 69, kLargest, std::numeric_limits<std::int32_t>::min()}}));
  cases.push_back(make("three_segments", kEdge, {.segments = three_segments()}));
  cases.push_back(make("ending_segments", kEdge, {.segments = ending_segments()}));
  cases.push_back(make("sampled_ids", kEdge,
                       {.segments = sampled_segments(), .ids = {3, 4, 5}, .sampled = {60, 0, 7}}));
  cases.push_back(make("sampled_nothing", kEdge,
                       {.segments = sampled_segments(), .ids = {3, 4, 5}, .sampled = {-1, 0, -1}}));
  cases.push_back(make("large_vocabulary", kEdge,
                       {.vocab_size = 200003,
                        .cols = 3,
                        .segments = three_segments(),
                        .ids = {200002, 0, 199999, 200002, 31, 32, 64, 199999, 100000}}));
  cases.push_back(make("most_rows", kEdge, {.cols = 5, .segments = one_segment(512, 1)}));
  cases.push_back(make(
      "model", kModel | kBench,
      {.format = Format::f16, .vocab_size = 32000, .cols = 2048, .segments = one_segment(4, 100)}));
  return cases;
}

}  // namespace bitaxon::test
