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

/// What becomes of a state tensor from step to step.
enum class StateKind : std::uint8_t {
  ring,       ///< rows of the KV cache; a step overwrites the oldest, and `window` of them count
  versioned,  ///< a step reads one version and writes the next
  transient,  ///< versioned, and not part of a snapshot: the token to be fed back
};

struct StateTensor {
  std::string name;  ///< "layer_3.keys"
  StateKind kind = StateKind::versioned;
  std::int64_t window = 0;  ///< of a ring: rows that attention reads at most
  DType dtype = DType::f32;
  Shape shape;                 ///< of one version of one slot
  std::int32_t versions = 1;   ///< 1: nothing is ever taken back, or a ring, which keeps old rows
  std::size_t size_bytes = 0;  ///< of all versions and slots
  std::size_t slot_stride_bytes = 0;
  std::size_t version_stride_bytes = 0;  ///< 0 when not versioned
};

/// Within a tensor, versions are outermost, then slots. Tensors do not share a buffer, because
/// devices limit how large one may be.
struct StateLayout {
  std::int32_t n_slots = 1;
  std::vector<StateTensor> tensors;

  /// Appends a tensor and returns its index.
  std::int32_t add(std::string name, DType dtype, const Shape& shape, std::int32_t versions,
                   StateKind kind = StateKind::versioned);
  /// Appends a ring of shape [capacity, width] and returns its index.
  std::int32_t add_ring(std::string name, DType dtype, const Shape& shape, std::int64_t window);
  /// Of all tensors together.
  std::size_t total_bytes() const;
};

}  // namespace bitaxon
