// The ways to run the selective scan. Which one is taken follows from the device and the shapes;
// tests ask for each.
#pragma once

#include <cstdint>
#include <vector>

#include "vulkan/launch.h"

namespace bitaxon::vulkan {

struct ScanSizes {
  std::int64_t n_rows = 1;  ///< R, the bucket
  std::int64_t d_inner = 1;
  std::int64_t d_state = 1;
};
ScanSizes scan_sizes(const Graph& graph, const Node& node);

struct ScanVariant {
  std::uint32_t lanes = 1;       ///< that share a channel: 1, 2 or 4
  std::uint32_t rows_ahead = 1;  ///< that are loaded before they are computed
  /// 0: one dispatch, a segment's rows one after the other. Every row is then computed in the same
  /// way however rows are grouped into steps, to the bit. Otherwise three dispatches and chunks of
  /// this many rows at the same time; what a chunk starts from is then rounded differently.
  std::int64_t chunk_rows = 0;
};
ScanVariant choose_scan(const DeviceCaps& caps, const ScanSizes& sizes);

std::size_t scan_workspace(const ScanSizes& sizes, const ScanVariant& variant);
std::vector<Launch> scan_launches(const LaunchContext& context, const ScanVariant& variant);

}  // namespace bitaxon::vulkan
