#include "bitaxon/training_ops.h"
#include "cases/op_case.h"

namespace bitaxon::test {
namespace {

struct Spec {
  std::int64_t capacity = 40;
  std::int64_t cols = 70;
  std::uint32_t store_row = 0;
  std::vector<CaseSegment> segments = one_segment(5, 3);
  RowSpace space = RowSpace::rows;
  std::vector<std::uint32_t> output_rows = {};  ///< rows of the store; those of the step if empty
};

void build(OpProblem& p, const Spec& spec) {
  p.set_step(spec.segments);
  p.step.store_row = spec.store_row;
  for (std::size_t o = 0; o < spec.output_rows.size(); ++o)
    p.step.output_rows[o] = spec.output_rows[o];
  const auto x = p.add_input(spec.cols, 1, spec.space);
  const auto store = p.add_store({spec.capacity, spec.cols}, spec.capacity);
  p.may_write({.state = store, .rows = spec.space});
  p.errors = [=](const OpProblem& problem) {
    const auto n = static_cast<std::size_t>(problem.valid_rows(spec.space));
    return ResultErrors(n, std::vector<double>(static_cast<std::size_t>(spec.cols)));
  };
  p.record = [=](const OpHandles& h) -> std::vector<Tensor> {
    save_rows(h.inputs[x], h.states[store]);
    return {};
  };
}

OpCase make(std::string label, unsigned tags, Spec spec) {
  return {std::move(label), tags, {0, "copies"}, [spec](OpProblem& p) { build(p, spec); }};
}

}  // namespace

std::vector<OpCase> save_rows_cases() {
  std::vector<OpCase> cases;
  cases.push_back(make("rows", kEveryMode, {.cols = 128}));
  cases.push_back(make("one_element", kEdge, {.cols = 1, .segments = one_segment(1, 0)}));
  cases.push_back(
      make("store_row", kEdge, {.cols = 37, .store_row = 31, .segments = three_segments()}));
  cases.push_back(make("full_store", kEdge, {.capacity = 16, .segments = one_segment(16, 0)}));
  cases.push_back(
      make("outputs", kEdge, {.segments = mixed_segments(), .space = RowSpace::outputs}));
  cases.push_back(make("outputs_anywhere", kEdge,
                       {.capacity = 700,
                        .cols = 5,
                        .segments = mixed_segments(),
                        .space = RowSpace::outputs,
                        .output_rows = {699, 0, 650, 13, 12, 512}}));
  cases.push_back(
      make("model", kModel | kBench,
           {.capacity = 2048, .cols = 2560, .store_row = 1500, .segments = one_segment(64, 0)}));
  return cases;
}

}  // namespace bitaxon::test
