#include "bitaxon/training_ops.h"
#include "cases/op_case.h"

namespace bitaxon::test {
namespace {

struct Spec {
  std::int64_t capacity = 40;
  std::int64_t cols = 70;
  std::uint32_t store_row = 0;
  std::vector<CaseSegment> segments = one_segment(5, 3);
  RowSelect select = RowSelect::all;
  std::vector<std::uint32_t> output_rows = {};  ///< rows of the store; those of the step if empty
};

void fill(OpProblem& p, std::size_t store, std::int64_t row) {
  for (float& value : p.store_row(store, row)) value = p.random().centred(1);
}

void build(OpProblem& p, const Spec& spec) {
  p.set_step(spec.segments);
  p.step.store_row = spec.store_row;
  for (std::size_t o = 0; o < spec.output_rows.size(); ++o)
    p.step.output_rows[o] = spec.output_rows[o];
  const auto store = p.add_store({spec.capacity, spec.cols}, spec.capacity);
  const bool selects = spec.select == RowSelect::outputs;
  for (std::uint32_t r = 0; r < (selects ? p.step.n_outputs : p.step.n_rows); ++r)
    fill(p, store, selects ? p.step.output_rows[r] : p.step.store_row + r);
  p.errors = [=](const OpProblem& problem) {
    const std::int64_t n = selects ? problem.step.n_outputs : problem.step.n_rows;
    return ResultErrors{std::vector<double>(static_cast<std::size_t>(n * spec.cols))};
  };
  p.record = [=](const OpHandles& h) -> std::vector<Tensor> {
    return {load_rows(h.states[store], selects ? h.n_outputs : h.n_rows, spec.select)};
  };
}

OpCase make(std::string label, unsigned tags, Spec spec) {
  return {std::move(label), tags, {0, "copies"}, [spec](OpProblem& p) { build(p, spec); }};
}

}  // namespace

std::vector<OpCase> load_rows_cases() {
  std::vector<OpCase> cases;
  cases.push_back(make("rows", kEveryMode, {.cols = 128}));
  cases.push_back(make("one_element", kEdge, {.cols = 1, .segments = one_segment(1, 0)}));
  cases.push_back(
      make("store_row", kEdge, {.cols = 37, .store_row = 31, .segments = three_segments()}));
  cases.push_back(make("full_store", kEdge, {.capacity = 16, .segments = one_segment(16, 0)}));
  cases.push_back(
      make("outputs", kEdge, {.segments = mixed_segments(), .select = RowSelect::outputs}));
  cases.push_back(make("outputs_anywhere", kEdge,
                       {.capacity = 700,
                        .cols = 5,
                        .segments = mixed_segments(),
                        .select = RowSelect::outputs,
                        .output_rows = {699, 0, 650, 13, 12, 512}}));
  cases.push_back(
      make("model", kModel | kBench,
           {.capacity = 2048, .cols = 2560, .store_row = 1500, .segments = one_segment(64, 0)}));
  return cases;
}

}  // namespace bitaxon::test
