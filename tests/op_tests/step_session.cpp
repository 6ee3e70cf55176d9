#include "op_tests/step_session.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <stdexcept>

#include "formats/weight_source.h"
#include "support/tensors.h"

namespace bitaxon::test {

std::shared_ptr<const Weight> packed_weight(Backend& backend, const Checkpoint& file,
                                            const std::string& name, const Shape& shape) {
  // find_weight() takes the shape of the matrix. If the tensor holds codes, its own shape has fewer
  // columns.
  const TensorInfo& info = info_of(file, name);
  const bool coded = info.dtype == DType::u32 || info.dtype == DType::u8;
  const Shape logical = !coded                                   ? Shape(info.shape)
                        : info.shape.rank() == 3 || shape[0] > 1 ? shape
                                                                 : Shape{shape[1], shape[2]};
  auto source = find_weight(file, name, logical, true);
  if (!source) throw std::runtime_error("no weight " + name);
  LoadedWeight loaded;
  read_weight(file, *source, loaded);
  source->desc.n_matrices = shape[0];
  source->desc.rows = shape[1];
  source->desc.cols = shape[2];
  return backend.pack(source->desc, loaded.parts);
}

std::shared_ptr<const Weight> packed_weight(Backend& backend, const Shape& shape,
                                            std::span<const float> values) {
  WeightDesc desc;
  desc.name = "test weight";
  desc.n_matrices = shape[0];
  desc.rows = shape[1];
  desc.cols = shape[2];
  return backend.pack(desc, {.data = std::as_bytes(values)});
}

StepSession::StepSession(Backend& backend, std::int32_t n_slots, ScheduleOptions options)
    : backend_(backend),
      options_(options),
      layout_(std::make_shared<StateLayout>()),
      positions_(static_cast<std::size_t>(n_slots), 0) {
  layout_->n_slots = n_slots;
}

std::int32_t StepSession::add_state(DType dtype, const Shape& shape) {
  return layout_->add("state", dtype, shape, 2);
}

std::int32_t StepSession::add_pages(DType dtype, std::int64_t width, std::int64_t n_rows) {
  n_pages_ = static_cast<std::uint32_t>((n_rows + kPageRows - 1) / kPageRows);
  const auto n_slots = static_cast<std::uint32_t>(positions_.size());
  layout_->page_groups = {{.n_pages = static_cast<std::int32_t>(n_pages_ * n_slots)}};
  return layout_->add_pages("pages", dtype, width, 0);
}

StepBuffer StepSession::next_step(std::span<const std::uint32_t> n_rows) {
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
    positions_[g] += n_rows[g];
    if (n_pages_ == 0) continue;
    std::vector<std::uint32_t> pages(n_pages_);
    for (std::uint32_t i = 0; i < n_pages_; ++i)
      pages[i] = static_cast<std::uint32_t>(g) * n_pages_ + i;
    TableWriter(step, segment, 1).set(0, 0, pages);
  }
  version_ = 1 - version_;
  return step;
}

std::vector<std::vector<float>> StepSession::run(std::span<const std::uint32_t> n_rows,
                                                 std::span<const SessionInput> inputs,
                                                 const Record& record) {
  if (state_.empty())
    for (const StateTensor& tensor : layout_->tensors) {
      state_.push_back(backend_.allocate(tensor.size_bytes, BufferUse::state));
      backend_.upload(state_.back(), 0, std::vector<std::byte>(tensor.size_bytes, std::byte{0xFF}));
    }
  const StepBuffer step = next_step(n_rows);
  const std::int64_t capacity = std::bit_ceil(step.n_rows);
  auto graph = std::make_shared<Graph>();
  Context context{*graph, *layout_, {}};
  std::vector<std::vector<std::byte>> padded;
  for (const SessionInput& input : inputs) {
    std::vector<std::int64_t> dims = {capacity};
    dims.insert(dims.end(), input.row_shape.begin(), input.row_shape.end());
    const Shape shape{std::span<const std::int64_t>(dims)};
    context.inputs.push_back(graph->input(input.dtype, shape));
    padded.emplace_back(static_cast<std::size_t>(shape.elements()) * size_of(input.dtype),
                        std::byte{0xFF});
    std::ranges::copy(input.bytes, padded.back().begin());
  }
  std::vector<GraphInput> filled;
  for (std::size_t i = 0; i < padded.size(); ++i) filled.push_back({context.inputs[i], padded[i]});
  const std::vector<Tensor> outputs = record(context);
  for (const Tensor& output : outputs) graph->mark_output(output);
  const GraphRun run = run_graph(backend_, graph, filled, step, state_, layout_, options_);
  std::vector<std::vector<float>> valid;
  for (const Tensor& output : outputs) {
    const auto bytes = run.bytes(output);
    const std::size_t n = bytes.size() / sizeof(float) / static_cast<std::size_t>(capacity);
    valid.emplace_back(n * step.n_rows);
    std::memcpy(valid.back().data(), bytes.data(), valid.back().size() * sizeof(float));
  }
  return valid;
}

std::vector<float> StepSession::read_state(std::int32_t index, std::uint32_t slot) {
  const StateTensor& tensor = layout_->tensors[static_cast<std::size_t>(index)];
  std::vector<float> values(static_cast<std::size_t>(tensor.shape.elements()));
  backend_.download(state_[static_cast<std::size_t>(index)],
                    tensor.slot_stride_bytes * slot + tensor.version_stride_bytes * version_,
                    std::as_writable_bytes(std::span(values)));
  return values;
}

std::vector<float> StepSession::read_pages(std::int32_t index) {
  const StateTensor& tensor = layout_->tensors[static_cast<std::size_t>(index)];
  std::vector<float> values(n_pages_ * tensor.page_bytes() / sizeof(float));
  backend_.download(state_[static_cast<std::size_t>(index)], 0,
                    std::as_writable_bytes(std::span(values)));
  return values;
}

}  // namespace bitaxon::test
