#include "bitaxon/model.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "bitaxon/error.h"
#include "core/align.h"
#include "core/step.h"
#include "model/model_impl.h"
#include "model/sampler_words.h"
#include "ops/op.h"

namespace bitaxon {
namespace {

/// The number of rows of a segment: one for each id, or one for the token that is fed back.
std::int64_t rows_of(const SegmentInput& segment) {
  return std::max<std::int64_t>(1, std::ssize(segment.ids));
}

StepDemand demand_of(std::span<const SegmentInput> segments) {
  StepDemand demand;
  for (const SegmentInput& segment : segments)
    demand.add(rows_of(segment), segment.output, segment.sampler);
  return demand;
}

StepKind kind_of(std::int64_t n_rows, std::int64_t n_segments, const UniformStep& step,
                 const SamplerParams& sampler) {
  StepDemand demand;
  for (std::int64_t g = 0; g < n_segments; ++g) demand.add(n_rows, step.output, sampler);
  return kind_of(demand, step.layer_outputs);
}

}  // namespace

void Model::Impl::check_ids(std::span<const std::int32_t> ids) const {
  for (std::size_t i = 0; i < ids.size(); ++i)
    if (ids[i] < 0 || ids[i] >= spec.vocab_size)
      throw Error(ErrorKind::invalid_argument,
                  fmt::format("token id at index {}: expected 0..{}, got {}", i,
                              spec.vocab_size - 1, ids[i]));
}

void Model::Impl::check_state(const State* state) const {
  if (state == nullptr || state->impl_->pool != pool)
    throw Error(ErrorKind::invalid_argument,
                "[step] state: expected a state of this model, got another's");
}

void Model::Impl::check_segments(std::span<const SegmentInput> segments) const {
  if (segments.empty() || segments.size() > static_cast<std::size_t>(kMaxSegments))
    throw Error(ErrorKind::invalid_argument, fmt::format("[step] segments: expected 1..{}, got {}",
                                                         kMaxSegments, segments.size()));
  std::int64_t n_rows = 0;
  for (const SegmentInput& segment : segments) {
    check_ids(segment.ids);
    n_rows += rows_of(segment);
    if (segment.output == StepOutput::token) segment.sampler.validate();
    check_state(segment.state);
    segment.state->check_room(rows_of(segment));
    if (segment.ids.empty() && !segment.state->has_sampled_token())
      throw Error(ErrorKind::invalid_argument,
                  "[step] ids: expected at least one where the step before sampled no token, got "
                  "none");
    for (const SegmentInput& other : segments)
      if (&other != &segment && other.state == segment.state)
        throw Error(ErrorKind::invalid_argument,
                    "[step] state: expected each state once, got one twice");
  }
  if (n_rows > kMaxRows)
    throw Error(ErrorKind::invalid_argument,
                fmt::format("[step] rows: expected 1..{}, got {}", kMaxRows, n_rows));
}

/// Gives the states of a step the pages that they need. Throws Error(device) if there is no memory
/// for them. Then no state has changed.
void Model::Impl::prepare_pages(std::span<const SegmentInput> segments) {
  page_demand.assign(pool->layout().page_groups.size(), 0);
  if (page_demand.empty()) return;
  for (const SegmentInput& segment : segments) {
    const State::Impl& state = *segment.state->impl_;
    state.pages.add_needed(state.rows_of_step(rows_of(segment)), page_demand);
  }
  pool->reserve_pages(page_demand);
  for (const SegmentInput& segment : segments)
    segment.state->impl_->release_pages(rows_of(segment));
  for (const SegmentInput& segment : segments) {
    State::Impl& state = *segment.state->impl_;
    state.pages.take(state.rows_of_step(rows_of(segment)));
  }
}

void Model::Impl::fill_step(std::span<const SegmentInput> segments) {
  step.pages.clear();
  step.n_segments = static_cast<std::uint32_t>(segments.size());
  std::uint32_t row = 0;
  for (std::size_t g = 0; g < segments.size(); ++g) {
    const SegmentInput& segment = segments[g];
    SegmentWords& words = step.segments[g];
    words.first_row = row;
    words.ids_from_state = segment.ids.empty() ? 1 : 0;
    words.sampling = sampler_words(segment.sampler);
    std::copy(segment.ids.begin(), segment.ids.end(), step.ids.begin() + row);
    words.n_rows = static_cast<std::uint32_t>(rows_of(segment));
    segment.state->impl_->describe_step(step, words);
    row += words.n_rows;
  }
  step.n_rows = row;
  // A table grows by a word every kPageRows tokens. Rounding up makes it rare that a copy of the
  // step needs more memory than the last one.
  step.pages.resize(align_up(step.pages.size(), std::size_t{64}));
  fill_outputs(segments);
}

/// Fills in the outputs of the step. Outputs whose logits are read come first, so that one copy can
/// read all of their logits.
void Model::Impl::fill_outputs(std::span<const SegmentInput> segments) {
  std::uint32_t n = 0;
  for (std::size_t g = 0; g < segments.size(); ++g) {
    const SegmentWords& words = step.segments[g];
    const auto n_read = static_cast<std::uint32_t>(rows_read(segments[g].output, words.n_rows));
    for (std::uint32_t i = words.n_rows - n_read; i < words.n_rows; ++i)
      step.output_rows[n++] = words.first_row + i;
  }
  for (std::size_t g = 0; g < segments.size(); ++g) {
    SegmentWords& words = step.segments[g];
    words.sampled_output = BX_SAMPLES_NOTHING;
    if (segments[g].output != StepOutput::token) continue;
    step.output_rows[n] = words.first_row + words.n_rows - 1;
    words.sampled_output = n++;
  }
  step.n_outputs = n;
}

/// Moves the states past a submitted step. This is done after the submission, so that a refused
/// submission changes no state.
void Model::Impl::submitted(Ticket ticket, std::span<const SegmentInput> segments) {
  outstanding.push_back(ticket.number);
  for (std::size_t g = 0; g < segments.size(); ++g) {
    const SegmentInput& segment = segments[g];
    const std::int64_t n_rows = rows_of(segment);
    latest.rows_read[g] = rows_read(segment.output, n_rows);
    segment.state->impl_->commit_step(n_rows, segment.output == StepOutput::token);
  }
  latest.n_rows = step.n_rows;
  latest.n_segments = segments.size();
}

void Model::Impl::wait_for_latest() {
  if (!outstanding.empty()) backend.wait({outstanding.back()});
  outstanding.clear();
}

Model::Model(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Model::Model(Model&&) noexcept = default;
Model& Model::operator=(Model&&) noexcept = default;
Model::~Model() = default;

const ModelSpec& Model::spec() const { return impl_->spec; }
Backend& Model::backend() const { return impl_->backend; }
Precision Model::precision() const { return impl_->precision; }
int Model::run_ahead() const { return impl_->options.run_ahead; }
std::int64_t Model::context() const { return impl_->pool->context(); }
std::uint64_t Model::bytes_per_token() const {
  return bitaxon::bytes_per_token(impl_->pool->layout());
}
const std::string& Model::vocab_mapping() const { return impl_->vocab_mapping; }
std::uint64_t Model::packed_bytes() const { return impl_->packed_bytes; }
std::uint64_t Model::state_bytes() const { return impl_->pool->layout().total_bytes(); }
std::uint64_t Model::arena_bytes() const { return impl_->arena_bytes; }
const std::string& Model::main_format() const { return impl_->main_format; }

State Model::new_state() { return State(std::make_unique<State::Impl>(impl_->pool)); }

void Model::check_ids(std::span<const std::int32_t> ids) const { impl_->check_ids(ids); }

Ticket Model::Impl::submit_checked(std::span<const SegmentInput> segments,
                                   const StepOptions& wanted) {
  prepare_pages(segments);
  fill_step(segments);
  pool->reserve_table(step.pages.size());
  std::shared_ptr<const CompiledStep> compiled =
      steps->find(kind_of(demand_of(segments), wanted.layer_outputs));
  // The backend limits the number of steps in flight, so the oldest step may have to finish first.
  if (outstanding.size() > backend.caps().max_run_ahead) wait({outstanding.front()});
  const Ticket ticket = backend.submit(compiled->compiled->executable, step);
  submitted(ticket, segments);
  latest.compiled = std::move(compiled);
  return ticket;
}

StepResult Model::Impl::wait(Ticket ticket) {
  std::erase_if(outstanding, [&](std::uint64_t number) { return number <= ticket.number; });
  return backend.wait(ticket);
}

Ticket Model::submit(std::span<const SegmentInput> segments, const StepOptions& options) {
  impl_->check_segments(segments);
  return impl_->submit_checked(segments, options);
}

StepResult Model::wait(Ticket ticket) { return impl_->wait(ticket); }

StepCounts Model::last_step() const { return impl_->backend.last_step(); }

Ticket Model::feed(State& state, std::span<const std::int32_t> ids, StepOutput output,
                   const SamplerParams& sampler,
                   const std::function<bool(Ticket chunk)>& on_chunk) {
  // All arguments are checked before the first chunk, so that a refused call changes nothing.
  impl_->check_ids(ids);
  sampler.validate();
  impl_->check_state(&state);
  if (ids.empty())
    throw Error(ErrorKind::invalid_argument, "[feed] ids: expected at least one, got none");
  state.check_room(std::ssize(ids));
  for (;;) {
    const auto chunk = ids.first(std::min<std::size_t>(ids.size(), kMaxRows));
    ids = ids.subspan(chunk.size());
    const SegmentInput segment{&state, chunk, sampler, ids.empty() ? output : StepOutput::none};
    const Ticket ticket = impl_->submit_checked({&segment, 1}, {});
    if (ids.empty() || (on_chunk && !on_chunk(ticket))) return ticket;
  }
}

namespace {

/// Copies elements of an output of the latest step to the host, from element `first` on.
void read_output(Backend& backend, const CompiledStep& step, const Tensor& tensor,
                 std::size_t first, std::span<float> out) {
  const CompiledPlan& compiled = *step.compiled;
  const auto id = static_cast<std::size_t>(tensor.id());
  backend.download(compiled.arena, compiled.plan->values[id].offset_bytes + first * sizeof(float),
                   std::as_writable_bytes(out));
}

void check_room_for(const char* what, std::span<const float> out, std::int64_t n_values) {
  if (std::ssize(out) != n_values)
    throw Error(
        ErrorKind::invalid_argument,
        fmt::format("[{}] out: expected room for {} numbers, got {}", what, n_values, out.size()));
}

}  // namespace

void Model::Impl::read_logits(std::size_t first_row, std::int64_t n_rows, std::span<float> out) {
  check_room_for("read_logits", out, n_rows * spec.vocab_size);
  wait_for_latest();
  read_output(backend, *latest.compiled, latest.compiled->graph.logits,
              first_row * static_cast<std::size_t>(spec.vocab_size), out);
}

void Model::read_logits(std::span<float> out) {
  const std::span rows = std::span(impl_->latest.rows_read).first(impl_->latest.n_segments);
  const std::int64_t n_rows = std::reduce(rows.begin(), rows.end());
  if (n_rows == 0)
    throw Error(ErrorKind::invalid_argument,
                "[read_logits] expected a latest step that was asked for logits");
  impl_->read_logits(0, n_rows, out);
}

void Model::read_logits(std::size_t segment, std::span<float> out) {
  const std::span rows = std::span(impl_->latest.rows_read).first(impl_->latest.n_segments);
  if (segment >= rows.size() || rows[segment] == 0)
    throw Error(ErrorKind::invalid_argument,
                fmt::format("[read_logits] segment: expected one of the latest step's {} that was "
                            "asked for logits, got {}",
                            rows.size(), segment));
  const auto before = rows.first(segment);
  impl_->read_logits(static_cast<std::size_t>(std::reduce(before.begin(), before.end())),
                     rows[segment], out);
}

void Model::read_layer(std::int64_t layer, std::span<float> out) {
  const Impl::Latest& latest = impl_->latest;
  if (latest.compiled == nullptr || !latest.compiled->kind.layer_outputs || layer < 0 ||
      layer >= impl_->spec.n_blocks())
    throw Error(ErrorKind::invalid_argument,
                fmt::format("[read_layer] expected a latest step that was asked for layer outputs, "
                            "and a layer from 0 to {}, got layer {}",
                            impl_->spec.n_blocks() - 1, layer));
  check_room_for("read_layer", out, latest.n_rows * impl_->spec.d_model);
  impl_->wait_for_latest();
  read_output(impl_->backend, *latest.compiled,
              latest.compiled->graph.layers[static_cast<std::size_t>(layer)], 0, out);
}

void Model::prepare(std::int64_t n_rows, const UniformStep& step, const SamplerParams& sampler) {
  if (n_rows < 1 || n_rows > kMaxRows)
    throw Error(ErrorKind::invalid_argument,
                fmt::format("[prepare] rows: expected 1..{}, got {}", kMaxRows, n_rows));
  impl_->steps->find(kind_of(n_rows, 1, step, sampler));
}

StepWork Model::work(std::int64_t n_rows, std::int64_t n_segments, std::int64_t position,
                     const UniformStep& step, const SamplerParams& sampler) {
  const std::int64_t all_rows = n_rows * n_segments;
  if (n_rows < 1 || n_segments < 1 || n_segments > kMaxSegments || all_rows > kMaxRows)
    throw Error(ErrorKind::invalid_argument,
                fmt::format("[work] rows: expected 1..{} in 1..{} segments, got {} in {}", kMaxRows,
                            kMaxSegments, all_rows, n_segments));
  const StepKind kind = kind_of(n_rows, n_segments, step, sampler);
  const auto compiled = impl_->steps->find(kind);
  const Plan& plan = *compiled->compiled->plan;
  const std::int64_t n_outputs = kind.all_rows             ? all_rows
                                 : kind.output_bucket == 0 ? 0
                                                           : n_segments;
  Cost total;
  for (std::size_t i = 0; i < plan.order.size(); ++i)
    total += cost_of(plan.node(i), {all_rows, n_segments, n_outputs, position});
  return {.stored_bytes = total.stored_bytes, .flops = total.flops};
}

void Model::measure_ops(bool wanted) {
  impl_->wait_for_latest();
  impl_->backend.measure_ops(wanted);
  // Empties the cache, because plans that are already compiled would keep the old setting.
  impl_->steps->forget();
}

Model::PlanSizes Model::plan_sizes(std::int64_t n_rows, const UniformStep& step) {
  const SamplerParams greedy{.temperature = 0};
  const auto compiled = impl_->steps->find(kind_of(n_rows, 1, step, greedy));
  return {compiled->compiled->plan->arena_bytes, compiled->compiled->plan->unshared_bytes};
}

}  // namespace bitaxon
