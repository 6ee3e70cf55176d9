// The variants of the selective scan. The device and the shapes decide which variant runs. Tests
// run all variants.
#pragma once

#include <cstdint>

#include "vulkan/device/device_caps.h"

namespace bitaxon::vulkan {

struct ScanSizes {
  std::int64_t n_rows = 1;  ///< R, the number of rows of the bucket
  std::int64_t d_inner = 1;
  std::int64_t d_state = 1;
};

struct ScanVariant {
  std::uint32_t lanes = 1;       ///< lanes that share a channel: a power of two
  std::uint32_t rows_ahead = 1;  ///< rows that are loaded before the first is computed: 1, 2 or 4
  /// If chunk_rows is 0, one dispatch computes the rows of a segment one after the other. The bits
  /// of a row then do not depend on how rows are grouped into steps. Otherwise three dispatches
  /// compute chunks of chunk_rows rows in parallel, and the initial state of a chunk is rounded
  /// differently.
  std::int64_t chunk_rows = 0;
};
ScanVariant choose_scan(const DeviceCaps& caps, const ScanSizes& sizes);

}  // namespace bitaxon::vulkan
