#include "training/tuner.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "bitaxon/error.h"
#include "training/orpo.h"
#include "training/tuner_impl.h"

namespace bitaxon {
namespace {

/// The number of targets of every sequence, or of every second one.
std::int64_t count_targets(std::span<const TrainSequence> sequences, std::size_t stride) {
  std::int64_t n = 0;
  for (std::size_t i = 0; i < sequences.size(); i += stride)
    n += std::ranges::count_if(
        sequences[i].labels, [](std::int32_t label) { return label != TrainSequence::kNoTarget; });
  return n;
}

/// The pairs of an update, and their sums over the update.
class OrpoUpdate {
 public:
  OrpoUpdate(const TunerOptions& options, std::span<const TrainSequence> sequences)
      : options_(options),
        n_chosen_(static_cast<double>(count_targets(sequences, 2))),
        n_pairs_(static_cast<double>(sequences.size() / 2)) {}

  /// Adds the pairs of a pass. Returns -dL/dlog_prob of each of its targets.
  std::vector<double> add(const Pass& pass, std::span<const double> log_probs) {
    std::map<std::size_t, Answer> answers;  // by index of the sequence
    for (std::size_t i = 0; i < log_probs.size(); ++i) {
      Answer& answer = answers[pass.targets[i].sequence];
      answer.sum += log_probs[i];
      answer.n += 1;
    }
    for (auto& [sequence, answer] : answers)
      if (sequence % 2 == 0) add_pair(answer, answers[sequence + 1]);
    std::vector<double> factors;
    for (const TargetRow& target : pass.targets) factors.push_back(answers[target.sequence].factor);
    return factors;
  }

  double loss() const { return n_chosen_ > 0 ? nll_ / n_chosen_ + sums_.penalty / n_pairs_ : 0; }
  OrpoMeans means() const {
    OrpoMeans means = sums_;
    for (double* value : {&means.penalty, &means.chosen, &means.rejected, &means.accuracy})
      *value /= n_pairs_;
    means.nll = n_chosen_ > 0 ? nll_ / n_chosen_ : 0;
    means.margin = means.chosen - means.rejected;
    return means;
  }

 private:
  /// The targets of one sequence.
  struct Answer {
    double sum = 0, n = 0;
    double factor = 0;  ///< -dL/dlog_prob of each target
    double mean() const { return n > 0 ? sum / n : 0; }
  };

  void add_pair(Answer& chosen, Answer& rejected) {
    const double c = chosen.mean(), r = rejected.mean();
    const OrpoTerms terms = orpo_terms(c, r, options_.beta, options_.orpo_penalty);
    chosen.factor = 1 / n_chosen_ - terms.d_chosen / (n_pairs_ * chosen.n);
    if (rejected.n > 0) rejected.factor = -terms.d_rejected / (n_pairs_ * rejected.n);
    nll_ -= chosen.sum;
    sums_.penalty += terms.penalty;
    sums_.chosen += c;
    sums_.rejected += r;
    sums_.accuracy += c > r ? 1 : 0;
  }

  const TunerOptions& options_;
  double n_chosen_, n_pairs_;
  double nll_ = 0;
  OrpoMeans sums_;
};

bool all_finite(std::span<const double> values) {
  return std::ranges::all_of(values, [](double value) { return std::isfinite(value); });
}

}  // namespace

double LossSum::mean() const { return n_targets == 0 ? 0 : loss / static_cast<double>(n_targets); }

Tuner::Tuner(BaseModel base, std::shared_ptr<Backend> backend, const TunerOptions& options)
    : impl_(std::make_unique<Impl>(std::move(base), std::move(backend), options)) {}
Tuner::Tuner(Tuner&&) noexcept = default;
Tuner& Tuner::operator=(Tuner&&) noexcept = default;
Tuner::~Tuner() = default;

bool Tuner::Impl::add_gradients(std::span<const TrainSequence> sequences, UpdateResult& result,
                                const std::function<void()>& before_part) {
  OrpoUpdate pairs(options, sequences);
  const bool is_orpo = options.objective == Objective::orpo;
  double sum = 0;
  for (const Pass& pass : passes(sequences)) {
    clear(plan.index.g_head);
    if (!is_orpo)
      set_factors(pass,
                  std::vector(pass.targets.size(), 1 / static_cast<double>(result.n_targets)));
    run_forward(pass, TrainGraph::forward, before_part);
    if (is_orpo) {
      run_head(pass, TrainGraph::head_loss, before_part);
      set_factors(pass, pairs.add(pass, log_probs(pass)));
    }
    run_head(pass, TrainGraph::head, before_part);
    const std::vector<double> values = log_probs(pass);
    if (!all_finite(values)) return false;
    for (const double value : values) sum -= value;
    run_backward(pass, before_part);
  }
  result.loss = is_orpo ? pairs.loss() : sum / static_cast<double>(result.n_targets);
  if (is_orpo) result.orpo = pairs.means();
  return std::isfinite(result.loss);
}

void Tuner::Impl::apply(const OptimizerSettings& optimizer, UpdateResult& result) {
  const double rate = learning_rate_at(optimizer, n_updates);
  const double clip = std::min(optimizer.max_grad_norm / (result.grad_norm + 1e-6), 1.0);
  constexpr double kBeta1 = 0.9, kBeta2 = 0.999, kEps = 1e-8;
  double c1 = 1, c2 = 1;
  if (optimizer.bias_correction) {
    const auto n = static_cast<double>(n_updates + 1);
    c1 = 1 - std::pow(kBeta1, n);
    c2 = 1 - std::pow(kBeta2, n);
  }
  std::vector<float> numbers;
  for (const double number :
       {clip, rate, rate * optimizer.weight_decay, kBeta1, kBeta2, c1, c2, kEps})
    numbers.push_back(static_cast<float>(number));
  write(plan.index.numbers, numbers);
  submit(TrainGraph::update, 1, single_row_step());
  finish();
  ++n_updates;
  norms_are_old = true;
  result.learning_rate = rate;
  result.clipped = result.grad_norm > optimizer.max_grad_norm;
}

UpdateResult Tuner::update(std::span<const TrainSequence> sequences,
                           const OptimizerSettings& optimizer,
                           const std::function<void()>& before_part) {
  impl_->check(sequences);
  UpdateResult result;
  for (const TrainSequence& sequence : sequences) result.n_tokens += std::ssize(sequence.ids);
  result.n_targets = count_targets(sequences, 1);
  result.applied = false;
  if (result.n_targets == 0) return result;
  impl_->refresh_norms();
  impl_->finish();
  impl_->clear(impl_->plan.index.gradients);
  if (!impl_->add_gradients(sequences, result, before_part)) {
    result.loss = result.grad_norm = std::numeric_limits<double>::quiet_NaN();
    return result;
  }
  impl_->submit(TrainGraph::squares, 1, single_row_step());
  result.grad_norm = std::sqrt(static_cast<double>(impl_->read(impl_->plan.index.squares, 1)[0]));
  if (!std::isfinite(result.grad_norm)) return result;
  impl_->apply(optimizer, result);
  result.applied = true;
  return result;
}

LossSum Tuner::evaluate(std::span<const TrainSequence> sequences,
                        const std::function<void()>& before_part) {
  impl_->check(sequences);
  impl_->refresh_norms();
  OrpoUpdate pairs(impl_->options, sequences);
  const bool is_orpo = impl_->options.objective == Objective::orpo;
  LossSum sum;
  for (const Pass& pass : impl_->passes(sequences)) {
    impl_->run_forward(pass, TrainGraph::evaluate, before_part);
    impl_->run_head(pass, TrainGraph::head_loss, before_part);
    const std::vector<double> values = impl_->log_probs(pass);
    if (is_orpo) pairs.add(pass, values);
    for (const double value : values) sum.loss -= value;
    sum.n_targets += std::ssize(values);
  }
  if (is_orpo) {
    sum.orpo = pairs.means();
    sum.n_targets = std::ssize(sequences) / 2;
    sum.loss = pairs.loss() * static_cast<double>(sum.n_targets);
  }
  return sum;
}

std::int64_t Tuner::flops_of(std::span<const TrainSequence> sequences) {
  impl_->check(sequences);
  std::int64_t sum = 0;
  for (const Pass& pass : impl_->passes(sequences)) {
    for (const StepBuffer& step : pass.steps)
      for (const TrainGraph kind : {TrainGraph::forward, TrainGraph::backward})
        sum += impl_->flops_of(kind, step.n_rows, step);
    for (const StepBuffer& step : head_steps(pass.targets, impl_->plan.head_rows))
      sum += impl_->flops_of(TrainGraph::head, step.n_outputs, step);
  }
  return sum;
}

std::vector<OpTime> Tuner::op_times(std::span<const TrainSequence> sequences) {
  Impl& impl = *impl_;
  impl.finish();
  // Only graphs that are compiled from now on are measured.
  impl.graphs.clear();
  impl.backend->measure_ops(true);
  impl.times.emplace();
  update(sequences, {});
  impl.finish();
  impl.backend->measure_ops(false);
  impl.graphs.clear();
  return *std::exchange(impl.times, std::nullopt);
}

std::span<const ParameterRange> Tuner::parameters() const { return impl_->ranges; }

std::vector<float> Tuner::read(ParameterVector vector) const {
  return impl_->read(impl_->index_of(vector), impl_->plan.adapter.n_parameters);
}

void Tuner::write(ParameterVector vector, std::span<const float> values) {
  if (std::ssize(values) != impl_->plan.adapter.n_parameters)
    throw Error(ErrorKind::invalid_argument,
                fmt::format("[train] parameters: expected {} numbers, got {}",
                            impl_->plan.adapter.n_parameters, values.size()));
  impl_->write(impl_->index_of(vector), values);
  if (vector == ParameterVector::value) impl_->norms_are_old = true;
}

void Tuner::write_masks(std::span<const float> masks) {
  const TunerPlan& plan = impl_->plan;
  const std::int64_t n_rows = std::ssize(masks) / std::max<std::int64_t>(1, n_mask_columns());
  if (plan.index.masks < 0 || n_rows * n_mask_columns() != std::ssize(masks) ||
      n_rows > plan.sizes.n_rows)
    throw Error(
        ErrorKind::invalid_argument,
        fmt::format("[train] masks: expected at most {} rows of {}, got {} numbers",
                    plan.index.masks < 0 ? 0 : plan.sizes.n_rows, n_mask_columns(), masks.size()));
  impl_->write(plan.index.masks, masks);
}

std::int64_t Tuner::n_mask_columns() const { return impl_->plan.adapter.n_inputs; }
std::int64_t Tuner::n_updates() const { return impl_->n_updates; }
void Tuner::set_n_updates(std::int64_t n) { impl_->n_updates = n; }
const ModelSpec& Tuner::spec() const { return impl_->base.spec; }
std::int64_t Tuner::n_base_parameters() const { return impl_->base.n_parameters(); }
Precision Tuner::precision() const { return impl_->plan.precision; }

std::vector<MemoryLine> Tuner::memory_table(const BaseModel& base, const BackendDescription& device,
                                            const TunerOptions& options) {
  return memory_lines(plan_tuner(base, device, options), base);
}

}  // namespace bitaxon
