#include <array>
#include <cmath>
#include <limits>

#include "cases/op_case.h"

namespace bitaxon::test {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

struct Params {
  float temperature = 0.8F;
  float penalty = 1;
  std::uint32_t top_k = 0;
  double top_p = 1;  ///< 1: no filter
  double min_p = 0;
};

struct Spec {
  std::int64_t vocab_size = 300;
  std::vector<CaseSegment> segments = three_segments();
  SamplerStructure structure = {.penalty = true, .draw = true};
  Params params = {};
  double spread = 3;
  double grid = 0;  ///< logits are rounded to multiples of this, to make ties; 0: not rounded
  std::vector<float> logits = {};  ///< logits of every output; random if empty
};

SamplerWords words_of(const Params& params, std::uint64_t seed) {
  SamplerWords words;
  words.temperature = params.temperature;
  words.repetition_penalty = params.penalty;
  words.top_k = params.top_k;
  words.use_top_p = params.top_p < 1 ? 1 : 0;
  words.top_p_q32 = U64Words::of(static_cast<std::uint64_t>(std::llround(params.top_p * 0x1p32)));
  words.min_p_q32 = U64Words::of(static_cast<std::uint64_t>(std::llround(params.min_p * 0x1p32)));
  words.seed = U64Words::of(seed);
  return words;
}

std::vector<float> logits_of(OpProblem& p, const Spec& spec) {
  std::vector<float> logits;
  for (std::uint32_t o = 0; o < p.step.n_outputs; ++o)
    for (std::int64_t i = 0; i < spec.vocab_size; ++i) {
      if (!spec.logits.empty()) {
        logits.push_back(spec.logits[static_cast<std::size_t>(i)]);
        continue;
      }
      const double value = static_cast<double>(p.random().centred(spec.spread));
      logits.push_back(
          static_cast<float>(spec.grid == 0 ? value : std::round(value / spec.grid) * spec.grid));
    }
  return logits;
}

void build(OpProblem& p, const Spec& spec) {
  auto segments = spec.segments;
  for (CaseSegment& segment : segments) segment.sampler = words_of(spec.params, p.random().next());
  p.set_step(segments);
  const std::int64_t row[] = {spec.vocab_size};
  const auto logits = p.add_input<float>(row, logits_of(p, spec), RowSpace::outputs);
  const auto seen = p.add_state(DType::u32, {(spec.vocab_size + 31) / 32});
  const auto next_token = p.add_state(DType::i32, {1});
  for (const SegmentWords& segment : p.segments()) {
    // The op reads the version that the segment writes, because embed has already filled it in the
    // same step.
    auto* bits =
        reinterpret_cast<std::uint32_t*>(p.state_bytes(seen, segment.slot, segment.write_version));
    for (std::int64_t word = 0; word < (spec.vocab_size + 31) / 32; ++word)
      bits[word] = static_cast<std::uint32_t>(p.random().next() & p.random().next());
  }
  p.returns_tokens = true;
  p.record = [=](const OpHandles& h) -> std::vector<Tensor> {
    return {sample(h.inputs[logits], h.states[seen], h.states[next_token], spec.structure,
                   h.n_segments)};
  };
}

OpCase make(std::string label, unsigned tags, Spec spec) {
  return {std::move(label),
          tags,
          {0, "none, because tokens are integers"},
          [spec = std::move(spec)](OpProblem& p) { build(p, spec); }};
}

}  // namespace

std::vector<OpCase> sample_cases() {
  const SamplerStructure greedy{};
  const SamplerStructure penalised{.penalty = true, .draw = false};
  std::vector<OpCase> cases;
  cases.push_back(make("greedy", kEveryMode, {.structure = greedy}));
  cases.push_back(
      make("greedy_penalised", kPlain, {.structure = penalised, .params = {.penalty = 1.7F}}));
  cases.push_back(make("draw", kPlain, {}));
  cases.push_back(make("draw_without_penalty_stage", kPlain,
                       {.structure = {.penalty = false, .draw = true}, .params = {.penalty = 9}}));
  cases.push_back(make("every_filter", kEveryMode,
                       {.params = {.penalty = 1.3F, .top_k = 50, .top_p = 0.9, .min_p = 0.01}}));
  cases.push_back(make("top_k", kPlain, {.params = {.top_k = 7}}));
  cases.push_back(make("top_p", kPlain, {.params = {.top_p = 0.7}}));
  cases.push_back(make("min_p", kPlain, {.params = {.min_p = 0.2}}));
  cases.push_back(make("one_row", kEdge, {.segments = one_segment(1, 0)}));
  cases.push_back(make("some_segments", kEveryMode | kEdge, {.segments = mixed_segments()}));
  cases.push_back(
      make("some_segments_greedy", kEdge, {.segments = mixed_segments(), .structure = greedy}));
  cases.push_back(make("greedy_ties", kEdge, {.structure = greedy, .spread = 2, .grid = 4}));
  cases.push_back(make("greedy_all_equal", kEdge, {.structure = greedy, .spread = 0}));
  cases.push_back(make("temperature_zero", kEdge, {.params = {.temperature = 0}}));
  cases.push_back(make("temperature_tiny", kEdge, {.params = {.temperature = 1e-38F}}));
  cases.push_back(make("temperature_large", kEdge, {.params = {.temperature = 1e30F}}));
  cases.push_back(make("top_k_ties", kEdge, {.params = {.top_k = 5}, .grid = 2}));
  cases.push_back(make("top_k_one", kEdge, {.params = {.top_k = 1}}));
  cases.push_back(make("top_k_beyond_vocabulary", kEdge, {.params = {.top_k = 100000}}));
  cases.push_back(make("top_p_zero", kEdge, {.params = {.top_p = 0}, .grid = 2}));
  cases.push_back(make("top_p_ties", kEdge, {.params = {.top_p = 0.5}, .grid = 2}));
  cases.push_back(make("min_p_one", kEdge, {.params = {.min_p = 1}, .grid = 2}));
  cases.push_back(make("one_token", kEdge, {.vocab_size = 1}));
  cases.push_back(make("odd_vocabulary", kEdge, {.vocab_size = 31, .params = {.top_p = 0.9}}));
  cases.push_back(make("word_boundary", kEdge, {.vocab_size = 33, .params = {.penalty = 2}}));
  cases.push_back(make("peaked", kEdge, {.spread = 1000}));
  cases.push_back(make("huge_logits", kEdge, {.spread = 1e37}));
  cases.push_back(
      make("minus_infinity", kEdge, {.vocab_size = 5, .logits = {-kInf, 1, -kInf, 2, -kInf}}));
  for (const bool draw : {false, true}) {
    const SamplerStructure structure{.penalty = true, .draw = draw};
    const std::string end = draw ? "_drawn" : "_greedy";
    cases.push_back(make("nan" + end, kEdge,
                         {.vocab_size = 4, .structure = structure, .logits = {1, kNan, 3, 2}}));
    cases.push_back(make("plus_infinity" + end, kEdge,
                         {.vocab_size = 4, .structure = structure, .logits = {1, kInf, 3, 2}}));
    cases.push_back(make("nothing_finite" + end, kEdge,
                         {.vocab_size = 2, .structure = structure, .logits = {-kInf, -kInf}}));
  }
  cases.push_back(
      make("model", kModel | kBench,
           {.vocab_size = 32000,
            .params = {.temperature = 0.6F, .penalty = 1.1F, .top_k = 50, .top_p = 0.95},
            .spread = 4}));
  return cases;
}

}  // namespace bitaxon::test
