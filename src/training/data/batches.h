// The micro-batches of a training run, in order.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "training/data/dataset.h"
#include "training/tuner.h"

namespace bitaxon {

/// How examples share rows.
enum class Packing : std::uint8_t {
  /// A row takes the next examples until one does not fit. Each example is a sequence of its own, and
  /// none is cut.
  isolated,
  /// A row is one sequence of exactly max_seq_len tokens. Examples follow each other with a separator
  /// between them, and are cut where a row ends.
  concat,
  none,  ///< a row is one example
};

struct BatchOptions {
  std::int64_t batch_size = 1;          ///< rows of a micro-batch; for ORPO the number of pairs
  Packing packing = Packing::isolated;  ///< ORPO does not pack
  bool shuffle = true;                  ///< another order in every epoch
  std::uint64_t seed = 42;
  /// The batches end after so many epochs. Empty: they never end.
  std::optional<std::uint64_t> epochs = {};
  /// The token between two examples of a row, for Packing::concat. Empty: the first of the
  /// vocabulary's ends of sequence, or 0 without a vocabulary.
  std::optional<std::int32_t> separator = {};
};

/// A place in the data. It tells all that the batches depend on, so a run continues from it exactly.
struct DataPosition {
  std::uint64_t epoch = 0;
  std::uint64_t next_example = 0;  ///< place in the order of the epoch
  std::uint64_t next_token = 0;    ///< tokens of that example already used; only Packing::concat
  std::uint64_t micro_batch = 0;   ///< number of the next micro-batch in the whole run

  bool operator==(const DataPosition&) const = default;
};

struct MicroBatch {
  /// Empty after the last epoch. ORPO: the chosen and the rejected text of each pair in turn.
  std::vector<TrainSequence> sequences;
  /// The examples of the micro-batch, for Dataset::place_of(). May be fewer or more than `sequences`.
  std::vector<std::size_t> examples;
  std::int64_t n_tokens = 0, n_targets = 0;
};

/// Gives one micro-batch after another. Examples without targets are left out. The order depends on
/// nothing but the seed and the epoch.
class Batches {
 public:
  Batches(Dataset data, const BatchOptions& options, const DataPosition& begin = {});
  Batches(Batches&&) noexcept;
  Batches& operator=(Batches&&) noexcept;
  ~Batches();

  /// The next micro-batch. The last one of the last epoch may have fewer rows. Throws Error(format) if
  /// a whole epoch has no target, and what Dataset::encode() throws.
  MicroBatch next();
  /// The place after the last micro-batch.
  const DataPosition& position() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace bitaxon
