// Finds the work of each expert in a step, including the shared expert. The work of an expert is a
// list of slots.
#pragma once

#include <span>

#include "cpu/expert_groups.h"
#include "cpu/kernel.h"

namespace bitaxon::cpu {

/// The slots of all experts. Activations [R, n_slots, ...] have n_slots slots for each row. Slot
/// r * n_slots + s holds the result of the s-th expert that row r chooses. If there is a shared
/// expert, the last slot of each row belongs to it.
class ExpertSlots {
 public:
  ExpertSlots(ScratchLayout& layout, std::int64_t max_rows, std::int64_t n_experts,
              std::int64_t top_k)
      : n_experts_(n_experts),
        groups_{layout.take<std::int32_t>(n_experts + 1),
                layout.take<std::int32_t>(max_rows * top_k)},
        slots_(layout.take<std::int32_t>(max_rows * (top_k + 1))),
        active_(layout.take<std::int32_t>(n_experts + 1)) {}

  /// Finds the slots of a step.
  /// experts  [n_rows, top_k]: the experts that each row chooses
  /// n_slots  top_k, or top_k + 1 with a shared expert
  void find(const std::int32_t* experts, std::int64_t n_rows, std::int64_t top_k,
            std::int64_t n_slots) {
    const std::int64_t n_pairs = n_rows * top_k;
    group_by_expert(experts, n_pairs, n_experts_, groups_);
    for (std::int64_t i = 0; i < n_pairs; ++i) {
      const std::int64_t pair = groups_.pairs[i];
      slots_[i] = static_cast<std::int32_t>(pair / top_k * n_slots + pair % top_k);
    }
    n_shared_ = n_slots > top_k ? n_rows : 0;
    for (std::int64_t r = 0; r < n_shared_; ++r)
      slots_[n_pairs + r] = static_cast<std::int32_t>(r * n_slots + top_k);
    n_active_ = 0;
    for (std::int64_t e = 0; e <= n_experts_; ++e)
      if (count(e) > 0) active_[n_active_++] = static_cast<std::int32_t>(e);
  }

  /// The experts that have at least one slot. The shared expert comes last.
  std::span<const std::int32_t> active() const {
    return {active_, static_cast<std::size_t>(n_active_)};
  }
  bool is_shared(std::int64_t expert) const { return expert == n_experts_; }
  /// The index in slots() of the first slot of an expert.
  std::int64_t first(std::int64_t expert) const { return groups_.first[expert]; }
  std::int64_t count(std::int64_t expert) const {
    return is_shared(expert) ? n_shared_ : first(expert + 1) - first(expert);
  }
  /// The slots, sorted by expert. Expert e has count(e) slots from index first(e) on.
  const std::int32_t* slots() const { return slots_; }

 private:
  std::int64_t n_experts_;
  std::int64_t n_shared_ = 0;
  ExpertGroups groups_;
  std::int32_t* slots_;   ///< [R * (top_k + 1)]
  std::int32_t* active_;  ///< [X + 1]
  std::int64_t n_active_ = 0;
};

}  // namespace bitaxon::cpu
