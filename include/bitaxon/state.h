// What a model carries from token to token: keys and values, recurrent state, the position.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <vector>

namespace bitaxon {

class StatePool;
struct SegmentWords;

/// The state of a sequence at one moment, on the host, in a form that does not depend on how it was
/// reached: two snapshots after the same tokens are equal byte for byte, whatever the chunks.
struct StateSnapshot {
  std::int64_t position = 0;
  /// One entry per state tensor of the pool's layout. Rings hold the last min(position, window)
  /// rows, oldest first; the token to be fed back is left out.
  std::vector<std::vector<std::byte>> tensors;
  friend bool operator==(const StateSnapshot&, const StateSnapshot&) = default;
};

/// The state of one sequence: a slot of a pool, and where in it the sequence stands. A fresh state
/// is at position 0. Move-only; gives its slot back when destroyed; the pool outlives it.
class State {
 public:
  explicit State(std::shared_ptr<StatePool> pool);
  State(State&& other) noexcept;
  State& operator=(State&& other) noexcept;
  ~State();

  /// Tokens fed so far.
  std::int64_t position() const { return position_; }
  /// Forgets everything; costs nothing.
  void reset();
  /// Takes back the last `n_steps` steps (not tokens), at most run_ahead of them, exactly. Costs
  /// nothing. Throws Error(invalid_argument) when that many are not remembered.
  void rewind(int n_steps);
  /// Steps that rewind could take back now.
  int rewindable_steps() const;

  /// Waits for all submitted steps, then copies.
  StateSnapshot snapshot() const;
  /// Throws Error(invalid_argument) when the snapshot is not of a pool of the same layout. When the
  /// backend fails, the state is as after reset().
  void restore(const StateSnapshot& snapshot);
  /// Made up, as if so many tokens had been fed: random keys and values of about unit variance, and
  /// small recurrent state, the same for a seed. For measuring at a depth that would take long to
  /// reach. Throws Error(invalid_argument) with both lengths beyond max_seq_len. When the backend
  /// fails, the state is as after reset().
  void synthesize(std::int64_t position, std::uint64_t seed);
  /// A file holds format version, model fingerprint, precision, token count and a checksum.
  /// Throws Error(io).
  void save(const std::filesystem::path& path) const;
  /// Throws Error(io, format): unreadable, damaged, of another model or precision.
  void load(const std::filesystem::path& path);

  /// Whether the latest step sampled a token, which the next one can be fed with.
  bool has_sampled_token() const { return sampled_; }

  /// Throws Error(invalid_argument) with both lengths when n_rows more do not fit max_seq_len.
  void check_room(std::int64_t n_rows) const;

 private:
  friend class Model;
  /// Slot, position and versions of a step of words.n_rows rows.
  void describe_step(SegmentWords& words) const;
  /// Accounts for a step that has been submitted.
  void commit_step(std::int64_t n_rows, bool samples) noexcept;
  std::uint32_t version(std::uint64_t step) const;
  /// Bytes that a snapshot at `position` has of a tensor, and putting them in their place.
  std::size_t snapshot_bytes(std::size_t tensor, std::int64_t position) const;
  void upload(std::size_t tensor, std::int64_t position, const std::vector<std::byte>& bytes);

  std::shared_ptr<StatePool> pool_;
  std::int32_t slot_ = -1;
  std::int64_t position_ = 0;
  std::uint64_t step_ = 0;  ///< counts steps; the version to read next is step_ mod versions
  /// A step that can be taken back.
  struct PastStep {
    std::int64_t n_rows = 0;
    bool sampled_before = false;  ///< what has_sampled_token() said before it
  };
  std::vector<PastStep> history_;  ///< latest last
  bool sampled_ = false;
  std::int64_t furthest_ = 0;  ///< one past the last row that the rings have been given
};

}  // namespace bitaxon
