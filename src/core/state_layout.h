// The memory layout of the state pool. Each tensor has a buffer of its own. The pool has a slot for
// each sequence. A ring keeps old rows, so that steps can be taken back. Every other tensor exists
// in several versions for the same purpose.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "bitaxon/dtype.h"
#include "bitaxon/shape.h"

namespace bitaxon {

/// How steps change a state tensor.
enum class StateKind : std::uint8_t {
  ring,       ///< a ring buffer of the KV cache: a step overwrites the oldest rows
  versioned,  ///< a step reads one version and writes the next
  transient,  ///< versioned, but not in a snapshot: the token to be fed back
};

struct StateTensor {
  std::string name;  ///< "layer_3.keys"
  StateKind kind = StateKind::versioned;
  std::int64_t window = 0;  ///< the most rows that attention reads of a ring; 0 for other tensors
  DType dtype = DType::f32;
  Shape shape;                 ///< the shape of one version of one slot
  std::int32_t versions = 1;   ///< 1 for a ring, and if no step is taken back
  std::size_t size_bytes = 0;  ///< the size of all versions and slots
  std::size_t slot_stride_bytes = 0;
  std::size_t version_stride_bytes = 0;  ///< 0 if there is only one version
};

/// The layout of all state tensors. Within a tensor, versions are outermost, then slots. Tensors do
/// not share a buffer, because devices limit the size of a buffer.
struct StateLayout {
  std::int32_t n_slots = 1;
  std::vector<StateTensor> tensors;

  /// Appends a tensor and returns its index.
  std::int32_t add(std::string name, DType dtype, const Shape& shape, std::int32_t versions,
                   StateKind kind = StateKind::versioned);
  /// Appends a ring of shape [capacity, width] and returns its index.
  std::int32_t add_ring(std::string name, DType dtype, const Shape& shape, std::int64_t window);
  /// The size of all tensors together.
  std::size_t total_bytes() const;
};

}  // namespace bitaxon
