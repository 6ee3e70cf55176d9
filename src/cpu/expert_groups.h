// Groups the rows of a step by expert, so that each expert's weights are decoded once.
#pragma once

#include <cstdint>
#include <span>

namespace bitaxon::cpu {

/// The (row, slot) pairs of each expert, in one array.
struct ExpertGroups {
  std::int32_t* first;  ///< [n_experts + 1]
  std::int32_t* pairs;  ///< [n_rows * top_k]: row * top_k + slot, sorted by expert, then ascending

  std::span<const std::int32_t> of(std::int64_t expert) const {
    return {pairs + first[expert], pairs + first[expert + 1]};
  }
};

/// Sorts the pairs of `experts` [n_rows, top_k] by expert into `groups`, with a counting sort.
inline void group_by_expert(const std::int32_t* experts, std::int64_t n_pairs,
                            std::int64_t n_experts, const ExpertGroups& groups) {
  for (std::int64_t e = 0; e <= n_experts; ++e) groups.first[e] = 0;
  for (std::int64_t i = 0; i < n_pairs; ++i) ++groups.first[experts[i] + 1];
  for (std::int64_t e = 0; e < n_experts; ++e) groups.first[e + 1] += groups.first[e];
  // While the groups are filled, first[e] advances to the start of group e + 1. Afterwards the
  // starts are moved back.
  for (std::int64_t i = 0; i < n_pairs; ++i)
    groups.pairs[groups.first[experts[i]]++] = static_cast<std::int32_t>(i);
  for (std::int64_t e = n_experts; e > 0; --e) groups.first[e] = groups.first[e - 1];
  groups.first[0] = 0;
}

}  // namespace bitaxon::cpu
