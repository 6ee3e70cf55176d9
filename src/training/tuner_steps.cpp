#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "bitaxon/error.h"
#include "model/step_graph.h"
#include "ops/op.h"
#include "training/tuner_impl.h"

namespace bitaxon {
std::shared_ptr<Graph> Tuner::Impl::record(TrainGraph kind, std::int64_t size) const {
  switch (kind) {
    case TrainGraph::forward:
      return forward_graph(trained(true), size, true);
    case TrainGraph::evaluate:
      return forward_graph(trained(false), size, false);
    case TrainGraph::head:
      return head_graph(trained(true), size, true);
    case TrainGraph::head_loss:
      return head_graph(trained(true), size, false);
    case TrainGraph::backward:
      return backward_graph(trained(true), size);
    case TrainGraph::norms:
      return norms_graph(trained(true));
    case TrainGraph::squares:
      return squares_graph(trained(true));
    case TrainGraph::update:
      break;
  }
  return update_graph(trained(true));
}

const CompiledGraph& Tuner::Impl::find(TrainGraph kind, std::int64_t size) {
  const std::int64_t bucket = bucket_of(size);
  CompiledGraph& found = graphs[{kind, bucket}];
  if (found.plan == nullptr) {
    found.plan = schedule(record(kind, bucket), *backend->description());
    // Weights are always decoded exactly for norms.
    const Precision precision = kind == TrainGraph::norms ? Precision::exact : plan.precision;
    found.executable = backend->compile(found.plan, {.arena = arena,
                                                     .state = state,
                                                     .table_words = table_words,
                                                     .precision = precision,
                                                     .state_layout = layout});
  }
  return found;
}

/// Waits for the step before, and submits this one.
void Tuner::Impl::submit(TrainGraph kind, std::int64_t size, const StepBuffer& step) {
  const CompiledGraph& graph = find(kind, size);
  finish();
  in_flight = backend->submit(graph.executable, step);
}

void Tuner::Impl::finish() {
  if (!in_flight) return;
  backend->wait(*in_flight);
  in_flight.reset();
  if (times) std::ranges::move(backend->last_step_times(), std::back_inserter(*times));
}

std::int64_t Tuner::Impl::flops_of(TrainGraph kind, std::int64_t size, const StepBuffer& step) {
  const Plan& graph = *find(kind, size).plan;
  const StepSizes sizes = sizes_of(step);
  std::int64_t sum = 0;
  for (std::size_t i = 0; i < graph.order.size(); ++i) sum += cost_of(graph.node(i), sizes).flops;
  return sum;
}

/// Computes the norms of DoRA again if parameters have changed.
void Tuner::Impl::refresh_norms() {
  if (!plan.adapter.is_dora() || !norms_are_old) return;
  submit(TrainGraph::norms, 1, single_row_step());
  norms_are_old = false;
}

std::vector<Pass> Tuner::Impl::passes(std::span<const TrainSequence> sequences) const {
  return cut_into_passes(sequences, {.sizes = plan.sizes,
                                     .step_rows = plan.step_rows,
                                     .group = options.objective == Objective::orpo ? 2 : 1,
                                     .n_page_groups = layout->page_groups.size()});
}

void Tuner::Impl::check(std::span<const TrainSequence> sequences) const {
  const auto fail = [](std::string_view name, const std::string& expected, std::int64_t got) {
    throw Error(ErrorKind::invalid_argument,
                fmt::format("[train] {}: expected {}, got {}", name, expected, got));
  };
  const auto n = static_cast<std::int64_t>(sequences.size());
  if (n == 0) fail("sequences", "at least one", 0);
  if (options.objective == Objective::orpo && n % 2 != 0) fail("sequences", "pairs", n);
  for (const TrainSequence& sequence : sequences) {
    const std::int64_t length = std::ssize(sequence.ids);
    if (length < 1 || length > options.max_tokens)
      fail("sequence", fmt::format("1..{} tokens", options.max_tokens), length);
    if (std::ssize(sequence.labels) != length)
      fail("labels", fmt::format("{} of them", length), std::ssize(sequence.labels));
    for (const std::int32_t id : sequence.ids)
      if (id < 0 || id >= base.spec.vocab_size)
        fail("token id", fmt::format("0..{}", base.spec.vocab_size - 1), id);
    for (const std::int32_t label : sequence.labels)
      if (label != TrainSequence::kNoTarget && (label < 0 || label >= base.spec.vocab_size))
        fail("label", fmt::format("0..{} or -100", base.spec.vocab_size - 1), label);
  }
}

void Tuner::Impl::run_forward(const Pass& pass, TrainGraph kind,
                              const std::function<void()>& before_part) {
  for (const StepBuffer& step : pass.steps) {
    if (before_part) before_part();
    submit(kind, step.n_rows, step);
  }
}

void Tuner::Impl::run_head(const Pass& pass, TrainGraph kind,
                           const std::function<void()>& before_part) {
  for (const StepBuffer& step : head_steps(pass.targets, plan.head_rows)) {
    if (before_part) before_part();
    submit(kind, step.n_outputs, step);
  }
}

void Tuner::Impl::run_backward(const Pass& pass, const std::function<void()>& before_part) {
  for (std::size_t i = pass.steps.size(); i-- > 0;) {
    if (before_part) before_part();
    submit(TrainGraph::backward, pass.steps[i].n_rows, pass.steps[i]);
  }
}

std::vector<double> Tuner::Impl::log_probs(const Pass& pass) {
  const std::vector<float> all = read(plan.index.log_probs, plan.sizes.n_rows);
  std::vector<double> values;
  for (const TargetRow& target : pass.targets) values.push_back(all[target.store_row]);
  return values;
}

void Tuner::Impl::set_factors(const Pass& pass, std::span<const double> factors) {
  std::vector<float> all(static_cast<std::size_t>(plan.sizes.n_rows), 0.0F);
  for (std::size_t i = 0; i < pass.targets.size(); ++i)
    all[pass.targets[i].store_row] = static_cast<float>(factors[i]);
  write(plan.index.factors, all);
}

}  // namespace bitaxon
