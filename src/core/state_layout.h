// How the tensors of the state pool lie in memory, each in a buffer of its own. The pool serves
// several sequences (slots); what a step overwrites and might have to be taken back exists in
// several versions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "bitaxon/dtype.h"
#include "bitaxon/shape.h"

namespace bitaxon {

struct StateTensor {
  std::string name;  ///< "layer_3.keys"
  DType dtype = DType::f32;
  Shape shape;                 ///< of one version of one slot
  std::int32_t versions = 1;   ///< 1: not versioned (rings keep old rows by themselves)
  std::size_t size_bytes = 0;  ///< of all versions and slots
  std::size_t slot_stride_bytes = 0;
  std::size_t version_stride_bytes = 0;  ///< 0 when not versioned
};

/// Within a tensor, versions are outermost, then slots. Tensors do not share a buffer, because
/// devices limit how large one may be.
struct StateLayout {
  /// Every slot and version begins at a multiple of this, enough for any device's buffer
  /// offset alignment (Vulkan allows at most 256).
  static constexpr std::size_t kAlignment = 256;

  std::int32_t n_slots = 1;
  std::vector<StateTensor> tensors;

  /// Appends a tensor and returns its index.
  std::int32_t add(std::string name, DType dtype, const Shape& shape, std::int32_t versions);
  /// Of all tensors together.
  std::size_t total_bytes() const;
};

}  // namespace bitaxon
