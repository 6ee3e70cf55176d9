#include "core/state_layout.h"

#include "core/align.h"
#include "shaders/params/step.h"

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

std::int32_t StateLayout::add_pages(std::string name, DType dtype, std::int64_t width,
                                    std::int32_t group) {
  StateTensor tensor;
  tensor.name = std::move(name);
  tensor.kind = StateKind::paged;
  tensor.page_group = group;
  tensor.dtype = dtype;
  tensor.shape = {BX_PAGE_ROWS, width};
  tensor.size_bytes =
      tensor.page_bytes() *
      static_cast<std::size_t>(page_groups[static_cast<std::size_t>(group)].n_pages);
  tensors.push_back(std::move(tensor));
  return static_cast<std::int32_t>(tensors.size()) - 1;
}

std::int32_t StateLayout::add_shared(std::string name, DType dtype, const Shape& shape) {
  StateTensor tensor;
  tensor.name = std::move(name);
  tensor.kind = StateKind::shared;
  tensor.dtype = dtype;
  tensor.shape = shape;
  tensor.size_bytes =
      align_up(static_cast<std::size_t>(shape.elements()) * size_of(dtype), kBufferAlignment);
  tensors.push_back(std::move(tensor));
  return static_cast<std::int32_t>(tensors.size()) - 1;
}

std::size_t StateLayout::total_bytes() const {
  std::size_t total = 0;
  for (const StateTensor& tensor : tensors) total += tensor.size_bytes;
  return total;
}

}  // namespace bitaxon
