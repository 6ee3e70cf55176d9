#include "core/state_layout.h"

#include "core/align.h"

namespace bitaxon {

std::int32_t StateLayout::add(std::string name, DType dtype, const Shape& shape,
                              std::int32_t versions, StateKind kind) {
  StateTensor tensor;
  tensor.name = std::move(name);
  tensor.kind = kind;
  tensor.dtype = dtype;
  tensor.shape = shape;
  tensor.versions = versions;
  const std::size_t used = static_cast<std::size_t>(shape.elements()) * size_of(dtype);
  tensor.slot_stride_bytes = align_up(used, kBufferAlignment);
  const std::size_t version_bytes = tensor.slot_stride_bytes * static_cast<std::size_t>(n_slots);
  tensor.version_stride_bytes = versions > 1 ? version_bytes : 0;
  tensor.size_bytes = version_bytes * static_cast<std::size_t>(versions);
  tensors.push_back(std::move(tensor));
  return static_cast<std::int32_t>(tensors.size()) - 1;
}

std::int32_t StateLayout::add_ring(std::string name, DType dtype, const Shape& shape,
                                   std::int64_t window) {
  const std::int32_t index = add(std::move(name), dtype, shape, 1, StateKind::ring);
  tensors.back().window = window;
  return index;
}

std::size_t StateLayout::total_bytes() const {
  std::size_t total = 0;
  for (const StateTensor& tensor : tensors) total += tensor.size_bytes;
  return total;
}

}  // namespace bitaxon
