// The states of the sequences of a batch.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "loaded_model.h"

namespace bitaxon::python {

/// The state of one sequence, in a slot of the model or in host memory.
class Sequence {
 public:
  Sequence() = default;
  Sequence(const Sequence&) = delete;
  Sequence& operator=(const Sequence&) = delete;

  std::optional<State> state;
  std::function<void()> before_parking;  ///< set while a stream generates for this sequence
  StateSnapshot parked;  ///< at position 0 for an empty state; used while there is no slot
};

/// Sequences that continue together. Only jobs may look inside, and a job drops the last reference.
struct Batch {
  Batch(LoadedModel& of, std::size_t n) : model(of) {
    for (std::size_t i = 0; i < n; ++i) items.push_back(std::make_unique<Sequence>());
  }
  Batch(const Batch&) = delete;
  Batch& operator=(const Batch&) = delete;
  ~Batch() {
    for (const auto& item : items) model.forget(*item);
  }

  LoadedModel& model;
  std::vector<std::unique_ptr<Sequence>> items;
  std::atomic<std::int64_t> position = 0;
};

/// Throws Error(invalid_argument) if a stream generates for a sequence. Then no other call may use
/// its state.
void check_no_stream(const Batch& batch);

class Forward;

/// What Python holds: a batch and its model.
class Sequences {
 public:
  Sequences(std::shared_ptr<LoadedModel> model, std::size_t n);
  Sequences(Sequences&&) = default;
  ~Sequences();

  const std::shared_ptr<LoadedModel>& model() const { return model_; }
  const std::shared_ptr<Batch>& batch() const { return batch_; }
  std::size_t size() const { return batch_->items.size(); }
  /// The tokens that each sequence was fed. Waits for an interrupted call to end.
  std::int64_t position();

  /// Feeds n_rows ids to each sequence. Returns the logits of all rows, or of the last one:
  /// [sequences, rows, vocabulary]. An interrupted call leaves the states as they were.
  std::vector<float> forward(std::vector<std::int32_t> ids, std::size_t n_rows, bool all_logits);
  /// Forgets the latest forward(), so that take_back() does not undo it.
  void keep() { latest_.reset(); }
  /// Queues the undoing of the latest forward(), if it was not kept and began at `start`. Does not
  /// wait.
  void take_back(std::optional<std::int64_t> start);
  Sequences fork();
  void reset();
  std::vector<StateSnapshot> snapshots();
  /// The ids that the context of a sequence holds, ascending.
  std::vector<std::int32_t> seen(std::size_t index);
  /// Writes and reads the state of one sequence as State::save() and State::load() do.
  void save(std::size_t index, const std::filesystem::path& path);
  void load(std::size_t index, const std::filesystem::path& path);
  /// The bytes of such a file.
  std::vector<std::byte> to_bytes(std::size_t index);
  void from_bytes(std::size_t index, std::vector<std::byte> bytes);

 private:
  /// Runs work on the state of one sequence.
  void with_state(std::size_t index, std::function<void(State&)> work);

  std::shared_ptr<LoadedModel> model_;
  std::shared_ptr<Batch> batch_;
  std::shared_ptr<Forward> latest_;  ///< the latest forward() that has returned and was not kept
  std::shared_ptr<Job> left_;        ///< an interrupted call
};

}  // namespace bitaxon::python
