// What a model carries from token to token: keys and values, recurrent state, the position.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <vector>

#include "bitaxon/export.h"

namespace bitaxon {

/// The state of a sequence at one moment, on the host, in a form that does not depend on how it was
/// reached: two snapshots after the same tokens are equal byte for byte, whatever the chunks.
struct StateSnapshot {
  std::int64_t position = 0;
  /// One entry per state tensor of the pool's layout. Rings hold the last min(position, window)
  /// rows, oldest first; the token to be fed back is left out.
  std::vector<std::vector<std::byte>> tensors;
  friend bool operator==(const StateSnapshot&, const StateSnapshot&) = default;
};

/// The state of one sequence: one of the slots that its model has set aside, and where in it the
/// sequence stands. A fresh state is at position 0. Move-only. It gives its slot back when it is
/// destroyed, and keeps the memory behind it and the backend alive; the model may go first.
class BX_API State {
 public:
  State(State&& other) noexcept;
  State& operator=(State&& other) noexcept;
  ~State();

  /// Tokens fed so far.
  std::int64_t position() const;
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
  bool has_sampled_token() const;

  /// Throws Error(invalid_argument) with both lengths when n_rows more do not fit max_seq_len.
  void check_room(std::int64_t n_rows) const;

  struct Impl;

 private:
  friend class Model;
  explicit State(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace bitaxon
