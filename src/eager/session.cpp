#include "eager/session.h"

#include <algorithm>
#include <bit>

#include "core/assert.h"

namespace bitaxon {
namespace {

constexpr std::byte kNaN{0xFF};  // four of these bytes are a NaN

}  // namespace

EagerSession::EagerSession(Backend& backend, std::int32_t n_slots, SessionOptions options)
    : backend_(backend),
      options_(std::move(options)),
      layout_(std::make_shared<StateLayout>()),
      positions_(static_cast<std::size_t>(n_slots), 0) {
  layout_->n_slots = n_slots;
  if (options_.memory == nullptr) options_.memory = std::make_shared<StepMemory>();
}

std::int32_t EagerSession::add_state(DType dtype, const Shape& shape) {
  return layout_->add("state", dtype, shape, 2);
}

std::int32_t EagerSession::add_pages(DType dtype, std::int64_t width, std::int64_t n_rows) {
  n_pages_ = static_cast<std::uint32_t>((n_rows + kPageRows - 1) / kPageRows);
  const auto n_slots = static_cast<std::uint32_t>(positions_.size());
  layout_->page_groups = {{.n_pages = static_cast<std::int32_t>(n_pages_ * n_slots)}};
  return layout_->add_pages("pages", dtype, width, 0);
}

void EagerSession::allocate_state() {
  while (state_.size() < layout_->tensors.size()) {
    const std::size_t size = layout_->tensors[state_.size()].size_bytes;
    Buffer buffer = backend_.allocate(size, BufferUse::state);
    if (options_.poison) backend_.upload(buffer, 0, std::vector<std::byte>(size, kNaN));
    state_.push_back(std::move(buffer));
  }
}

StepBuffer EagerSession::next_step(std::span<const std::uint32_t> n_rows) const {
  BX_ASSERT(n_rows.size() <= std::min(positions_.size(), std::size_t{kMaxSegments}),
            "every sequence of a step has a slot");
  StepBuffer step;
  step.n_segments = static_cast<std::uint32_t>(n_rows.size());
  for (std::size_t g = 0; g < n_rows.size(); ++g) {
    SegmentWords& segment = step.segments[g];
    segment.slot = static_cast<std::uint32_t>(g);
    segment.first_row = step.n_rows;
    segment.n_rows = n_rows[g];
    segment.position = positions_[g];
    segment.read_version = version_;
    segment.write_version = 1 - version_;
    step.n_rows += n_rows[g];
    if (n_pages_ == 0) continue;
    std::vector<std::uint32_t> pages(n_pages_);
    for (std::uint32_t i = 0; i < n_pages_; ++i)
      pages[i] = static_cast<std::uint32_t>(g) * n_pages_ + i;
    TableWriter(step, segment, 1).set(0, 0, pages);
  }
  BX_ASSERT(step.n_rows >= 1 && step.n_rows <= std::uint32_t{kMaxRows}, "a step has 1 to 512 rows");
  return step;
}

void EagerSession::compile(CompiledStep& step) {
  Buffer& arena = options_.memory->arena;
  if (arena.size_bytes < step.plan->arena_bytes) {
    arena = {};  // the old arena is freed before the new one is made
    arena = backend_.allocate(step.plan->arena_bytes, BufferUse::activations);
  }
  step.arena = arena;
  step.executable =
      backend_.compile(step.plan, {.arena = arena,
                                   .state = state_,
                                   .table_words = positions_.size() * (1 + std::size_t{n_pages_}),
                                   .precision = Precision::exact,
                                   .state_layout = layout_});
}

const EagerSession::CompiledStep& EagerSession::find(const std::shared_ptr<Graph>& graph) {
  std::string key = graph->structure_key();
  const auto found = std::ranges::find(steps_, key, &CompiledStep::structure_key);
  if (found != steps_.end()) {
    steps_.splice(steps_.begin(), steps_, found);
  } else {
    steps_.push_front({.structure_key = std::move(key),
                       .plan = schedule(graph, *backend_.description(), options_.schedule),
                       .arena = {},
                       .executable = {}});
    if (steps_.size() > kMaxKinds) steps_.pop_back();
  }
  // Another step may have needed a larger arena. Recordings name their arena.
  CompiledStep& step = steps_.front();
  if (step.executable.compiled == nullptr || step.arena.memory != options_.memory->arena.memory) {
    step.executable = {};
    step.arena = {};
    compile(step);
  }
  return step;
}

void EagerSession::upload_rows(const CompiledStep& step, const Tensor& tensor,
                               const SessionInput& input) {
  const Placement& place = step.plan->values[static_cast<std::size_t>(tensor.id())];
  if (place.size_bytes == 0) return;  // no op reads this input
  BX_ASSERT(input.bytes.size() <= place.size_bytes, "an input holds the rows of its step");
  backend_.upload(step.arena, place.offset_bytes, input.bytes);
}

std::vector<float> EagerSession::download_rows(const CompiledStep& step, const Tensor& tensor,
                                               std::uint32_t n_rows) {
  const Value& value = step.plan->graph->value(tensor.id());
  BX_ASSERT(size_of(value.dtype) == sizeof(float), "outputs have elements of 4 bytes");
  std::vector<float> rows(static_cast<std::size_t>(value.shape.elements() / value.shape[0]) *
                          n_rows);
  backend_.download(step.arena,
                    step.plan->values[static_cast<std::size_t>(tensor.id())].offset_bytes,
                    std::as_writable_bytes(std::span(rows)));
  return rows;
}

std::vector<std::vector<float>> EagerSession::run(std::span<const std::uint32_t> n_rows,
                                                  std::span<const SessionInput> inputs,
                                                  const Record& record) {
  allocate_state();
  const StepBuffer step = next_step(n_rows);
  auto graph = std::make_shared<Graph>();
  Context context{*graph, *layout_, {}};
  for (const SessionInput& input : inputs) {
    std::vector<std::int64_t> dims = {std::bit_ceil(step.n_rows)};
    dims.insert(dims.end(), input.row_shape.begin(), input.row_shape.end());
    context.inputs.push_back(graph->input(input.dtype, Shape(std::span<const std::int64_t>(dims))));
  }
  const std::vector<Tensor> outputs = record(context);
  for (const Tensor& output : outputs) graph->mark_output(output);

  const CompiledStep& compiled = find(graph);
  if (options_.poison)
    backend_.upload(compiled.arena, 0, std::vector<std::byte>(compiled.arena.size_bytes, kNaN));
  for (std::size_t i = 0; i < inputs.size(); ++i)
    upload_rows(compiled, context.inputs[i], inputs[i]);
  backend_.wait(backend_.submit(compiled.executable, step));
  std::vector<std::vector<float>> results;
  for (const Tensor& output : outputs)
    results.push_back(download_rows(compiled, output, step.n_rows));
  version_ = 1 - version_;
  for (std::size_t g = 0; g < n_rows.size(); ++g) positions_[g] += n_rows[g];
  return results;
}

void EagerSession::set_position(std::uint32_t slot, std::uint32_t position) {
  positions_[slot] = position;
}

std::size_t EagerSession::state_offset(std::int32_t index, std::uint32_t slot) const {
  const StateTensor& tensor = layout_->tensors[static_cast<std::size_t>(index)];
  return tensor.slot_stride_bytes * slot + tensor.version_stride_bytes * version_;
}

std::vector<float> EagerSession::read_state(std::int32_t index, std::uint32_t slot) {
  const StateTensor& tensor = layout_->tensors[static_cast<std::size_t>(index)];
  std::vector<float> values(static_cast<std::size_t>(tensor.shape.elements()));
  backend_.download(state_[static_cast<std::size_t>(index)], state_offset(index, slot),
                    std::as_writable_bytes(std::span(values)));
  return values;
}

void EagerSession::write_state(std::int32_t index, std::uint32_t slot,
                               std::span<const float> values) {
  allocate_state();
  backend_.upload(state_[static_cast<std::size_t>(index)], state_offset(index, slot),
                  std::as_bytes(values));
}

std::size_t EagerSession::page_offset(std::int32_t index, std::uint32_t slot,
                                      std::int64_t row) const {
  const StateTensor& tensor = layout_->tensors[static_cast<std::size_t>(index)];
  const std::int64_t first_row = std::int64_t{slot} * n_pages_ * kPageRows;
  return static_cast<std::size_t>((first_row + row) * tensor.shape[1]) * sizeof(float);
}

std::vector<float> EagerSession::read_pages(std::int32_t index, std::uint32_t slot,
                                            std::int64_t first, std::int64_t n_rows) {
  const StateTensor& tensor = layout_->tensors[static_cast<std::size_t>(index)];
  if (n_rows < 0) n_rows = n_pages_ * kPageRows - first;
  std::vector<float> values(static_cast<std::size_t>(n_rows * tensor.shape[1]));
  backend_.download(state_[static_cast<std::size_t>(index)], page_offset(index, slot, first),
                    std::as_writable_bytes(std::span(values)));
  return values;
}

void EagerSession::write_pages(std::int32_t index, std::uint32_t slot, std::int64_t first,
                               std::span<const float> values) {
  allocate_state();
  backend_.upload(state_[static_cast<std::size_t>(index)], page_offset(index, slot, first),
                  std::as_bytes(values));
}

}  // namespace bitaxon
