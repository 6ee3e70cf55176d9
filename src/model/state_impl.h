// The implementation of State. state.cpp maintains it, and model.cpp fills steps from it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "bitaxon/state.h"
#include "core/step.h"
#include "model/sequence_pages.h"
#include "model/state_pool.h"

namespace bitaxon {

struct BX_HIDDEN State::Impl {
  /// A step that can be taken back.
  struct PastStep {
    std::int64_t n_rows = 0;
    bool sampled_before = false;  ///< has_sampled_token() before the step
  };

  explicit Impl(std::shared_ptr<StatePool> from);
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
  ~Impl() { pool->give_back(slot); }

  void reset();
  int rewindable_steps() const;
  void rewind(int n_steps);
  void check_room(std::int64_t n_rows) const;
  /// The rows that a step of n_rows rows needs.
  SequencePages::Rows rows_of_step(std::int64_t n_rows) const;
  /// Gives back the pages that a step of n_rows rows no longer needs. Steps that need them can no
  /// longer be taken back.
  void release_pages(std::int64_t n_rows) noexcept;
  /// Sets the slot, the position and the versions of the next step, and appends the page tables.
  void describe_step(StepBuffer& step, SegmentWords& words) const;
  /// Moves the state past a step that has been submitted.
  void commit_step(std::int64_t n_rows, bool samples) noexcept;
  StateSnapshot snapshot() const;
  void restore(const StateSnapshot& snapshot);
  /// Copies the recurrent state of `parent`, and uses its pages too.
  void fork_from(const Impl& parent);
  void synthesize(std::int64_t n_tokens, std::uint64_t seed);

  /// The version of the state that step number `of_step` reads.
  std::uint32_t version(std::uint64_t of_step) const;
  /// The size of a tensor's entry in a snapshot after `n_tokens` tokens.
  std::size_t snapshot_bytes(std::size_t tensor, std::int64_t n_tokens) const;
  /// Takes pages for the rows of a snapshot after `n_tokens` tokens.
  void take_pages(std::int64_t n_tokens);
  /// Copies the bytes of one tensor to the slot or to the pages. The bytes are the tensor's entry in
  /// a snapshot after `n_tokens` tokens.
  void upload(std::size_t tensor, std::int64_t n_tokens, std::span<const std::byte> bytes);
  /// Returns the bytes of a tensor in a snapshot. They are valid until the next call.
  using TensorBytes = std::function<std::span<const std::byte>(std::size_t tensor)>;
  /// Replaces the state by one after `n_tokens` tokens.
  void replace(std::int64_t n_tokens, const TensorBytes& bytes_of);

  const std::shared_ptr<StatePool> pool;
  const std::int32_t slot;
  SequencePages pages;
  std::int64_t position = 0;
  std::uint64_t step = 0;  ///< counts steps; the next step reads version `step` mod n_versions
  std::vector<PastStep> history;  ///< steps that can be taken back, the latest last
  bool sampled = false;
  std::int64_t kept_from = 0;  ///< the earliest position whose rows before it are all still held
};

}  // namespace bitaxon
