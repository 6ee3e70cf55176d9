// The memory layout of the state pool. Each tensor has a buffer of its own. Recurrent state has a
// slot for each sequence, and exists in several versions, so that steps can be taken back. Keys and
// values live in pages, which sequences take as they grow.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "bitaxon/dtype.h"
#include "bitaxon/shape.h"

namespace bitaxon {

/// How steps change a state tensor.
enum class StateKind : std::uint8_t {
  paged,      ///< keys or values: a step writes rows of pages that belong to its sequences
  versioned,  ///< a step reads one version and writes the next
  transient,  ///< versioned, but not in a snapshot: the token to be fed back
  shared,     ///< exists once for all sequences, and is in no snapshot: adapters, stores of rows
};

/// Whether a snapshot of a sequence holds its part of such tensors.
constexpr bool is_in_snapshot(StateKind kind) {
  return kind == StateKind::paged || kind == StateKind::versioned;
}

struct StateTensor {
  std::string name;  ///< "layer_3.keys"
  StateKind kind = StateKind::versioned;
  std::int32_t page_group = -1;  ///< index in StateLayout::page_groups; -1 without pages
  DType dtype = DType::f32;
  Shape shape;                 ///< the shape of one version of one slot, or of one page
  std::int32_t versions = 1;   ///< 1 for pages, and if no step is taken back
  std::size_t size_bytes = 0;  ///< the size of all versions and slots, or of the most pages
  // Only for a tensor without pages:
  std::size_t slot_stride_bytes = 0;
  std::size_t version_stride_bytes = 0;  ///< 0 if there is only one version

  /// The size of one page of a tensor with pages.
  std::size_t page_bytes() const {
    return static_cast<std::size_t>(shape.elements()) * size_of(dtype);
  }
};

/// Tensors whose pages are taken and given back together. They belong to attention layers that read
/// equally far back. So one table per sequence says where the rows of all these tensors are.
struct PageGroup {
  std::optional<std::int64_t> window = {};  ///< the most rows that attention reads; empty for all
  std::int32_t n_pages = 0;                 ///< the most pages of all sequences together
  std::int32_t pages_per_slot = 0;          ///< the most pages of one sequence
};

/// The layout of all state tensors. Within a tensor without pages, versions are outermost, then
/// slots. Tensors do not share a buffer, because devices limit the size of a buffer.
struct StateLayout {
  std::int32_t n_slots = 1;
  std::vector<StateTensor> tensors;
  std::vector<PageGroup> page_groups;

  /// Appends a tensor and returns its index.
  std::int32_t add(std::string name, DType dtype, const Shape& shape, std::int32_t versions,
                   StateKind kind = StateKind::versioned);
  /// Appends a tensor of pages with `width` elements per row, and returns its index.
  std::int32_t add_pages(std::string name, DType dtype, std::int64_t width, std::int32_t group);
  /// Appends a tensor that all sequences share, and returns its index.
  std::int32_t add_shared(std::string name, DType dtype, const Shape& shape);
  /// The size of all tensors together.
  std::size_t total_bytes() const;
};

}  // namespace bitaxon
