// The state that a model carries from token to token: keys and values, recurrent state, position.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <vector>

#include "bitaxon/export.h"

namespace bitaxon {

/// A copy of a sequence's state in host memory. Snapshots after the same tokens are equal byte for
/// byte, however the tokens were split into steps. selective_scan in ops.h names one exception.
struct StateSnapshot {
  std::int64_t position = 0;
  /// One entry for each state tensor. The entry of keys or values holds the last
  /// min(position, window) rows, oldest first, or all rows without a window. The entry of next_token, the sampled token that the
  /// next step may feed back, is empty.
  std::vector<std::vector<std::byte>> tensors;
  friend bool operator==(const StateSnapshot&, const StateSnapshot&) = default;
};

/// The state of one sequence. It takes one of the model's slots and knows the position in the
/// sequence. A fresh state is at position 0. A state can be moved but not copied. The destructor
/// frees the slot. A state keeps its memory and the backend alive, so the model may be destroyed
/// first.
class BX_API State {
 public:
  State(State&& other) noexcept;
  State& operator=(State&& other) noexcept;
  ~State();

  /// The number of tokens fed.
  std::int64_t position() const;
  /// Returns to position 0 with an empty state. Costs no time on the device.
  void reset();
  /// Takes back the last `n_steps` steps (not tokens), at most LoadOptions::run_ahead. The state is
  /// then exactly as before these steps. Costs no time on the device. Throws
  /// Error(invalid_argument) if `n_steps` is more than rewindable_steps().
  void rewind(int n_steps);
  /// The number of steps that rewind() can take back.
  int rewindable_steps() const;

  /// A second state after the same tokens, in a slot of its own. Both may then continue with
  /// different tokens. They share the memory of keys and values until one of them writes to it.
  /// Does not wait for submitted steps. The new state has no steps to rewind. Throws
  /// Error(invalid_argument) if all slots are taken.
  State fork() const;

  /// Waits for all submitted steps, then copies the state.
  StateSnapshot snapshot() const;
  /// Replaces the state by a snapshot. Throws Error(invalid_argument) if the snapshot's sizes do
  /// not fit this model's states. If the backend fails, the state is as after reset().
  void restore(const StateSnapshot& snapshot);
  /// Replaces the state by synthetic contents at `position`, for measurements at positions that
  /// would take long to reach. Keys and values are random with about unit variance, and recurrent
  /// state is random and small. Equal seeds give equal contents. Throws Error(invalid_argument)
  /// that names both lengths if `position` is beyond Model::context. If the backend fails, the state
  /// is as after reset().
  void synthesize(std::int64_t position, std::uint64_t seed);
  /// Writes the state to a file, with format version, model fingerprint, precision, token count and
  /// a checksum. Throws Error(io).
  void save(const std::filesystem::path& path) const;
  /// Replaces the state by a state that save() has written. Throws Error(io) if the file cannot be
  /// read, and Error(format) if it is damaged or belongs to another model or precision.
  void load(const std::filesystem::path& path);
  /// The bytes that save() writes.
  std::vector<std::byte> to_bytes() const;
  /// Does what load() does, with these bytes.
  void from_bytes(std::span<const std::byte> bytes);

  /// Whether the latest step sampled a token, so that the next step can feed this token.
  bool has_sampled_token() const;

  /// Throws Error(invalid_argument) that names both lengths if `n_rows` more tokens do not fit
  /// Model::context.
  void check_room(std::int64_t n_rows) const;

  struct Impl;

 private:
  friend class Model;
  explicit State(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace bitaxon
