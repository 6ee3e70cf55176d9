// What a State holds: state.cpp keeps it, model.cpp fills steps from it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "bitaxon/state.h"
#include "core/step.h"
#include "model/state_pool.h"

namespace bitaxon {

struct BX_HIDDEN State::Impl {
  /// A step that can be taken back.
  struct PastStep {
    std::int64_t n_rows = 0;
    bool sampled_before = false;  ///< what has_sampled_token() said before it
  };

  explicit Impl(std::shared_ptr<StatePool> from);
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
  ~Impl() { pool->give_back(slot); }

  void reset();
  int rewindable_steps() const;
  void rewind(int n_steps);
  void check_room(std::int64_t n_rows) const;
  /// Slot, position and versions of a step of words.n_rows rows.
  void describe_step(SegmentWords& words) const;
  /// Accounts for a step that has been submitted.
  void commit_step(std::int64_t n_rows, bool samples) noexcept;
  StateSnapshot snapshot() const;
  void restore(const StateSnapshot& snapshot);
  void synthesize(std::int64_t n_tokens, std::uint64_t seed);

  std::uint32_t version(std::uint64_t of_step) const;
  /// Bytes that a snapshot of a sequence of `n_tokens` has of a tensor.
  std::size_t snapshot_bytes(std::size_t tensor, std::int64_t n_tokens) const;
  /// Puts the bytes of a snapshot of a sequence of `n_tokens` in their place.
  void upload(std::size_t tensor, std::int64_t n_tokens, const std::vector<std::byte>& bytes);

  const std::shared_ptr<StatePool> pool;
  const std::int32_t slot;
  std::int64_t position = 0;
  std::uint64_t step = 0;         ///< counts steps; the version to read next is step mod versions
  std::vector<PastStep> history;  ///< latest last
  bool sampled = false;
  std::int64_t furthest = 0;  ///< one past the last row that the rings have been given
};

}  // namespace bitaxon
