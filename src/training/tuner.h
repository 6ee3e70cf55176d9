// A model whose adapter is trained: loss, gradients and updates, on the device of the model.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "bitaxon/backend.h"
#include "bitaxon/memory.h"
#include "bitaxon/precision.h"
#include "bitaxon/shape.h"
#include "bitaxon/train.h"
#include "training/base_model.h"

namespace bitaxon {

/// One sequence to train on. It begins with empty state, and no other sequence influences it.
struct TrainSequence {
  static constexpr std::int32_t kNoTarget = -100;

  std::vector<std::int32_t> ids;
  /// As long as `ids`: the token that follows each position, or kNoTarget if the loss ignores it.
  std::vector<std::int32_t> labels;
  /// Numbers the micro-batch in the whole run, and the first row of the sequence within the
  /// micro-batch. The masks of dropout are drawn from these numbers.
  std::uint64_t micro_batch = 0;
  std::uint64_t first_row = 0;
};

/// The losses of a pair of ORPO, as means over the pairs of an update.
struct OrpoMeans {
  double nll = 0, penalty = 0;
  double chosen = 0, rejected = 0;  ///< mean log-probability of a token of the answer
  double margin = 0;                ///< mean of chosen - rejected
  double accuracy = 0;              ///< share of pairs with chosen > rejected
};

struct UpdateResult {
  double loss = 0;       ///< mean over the target tokens of the update; ORPO: the mean over pairs
  double grad_norm = 0;  ///< before clipping
  double learning_rate = 0;
  bool clipped = false;
  bool applied = true;  ///< false if the loss or the norm was not finite: nothing was changed
  std::int64_t n_tokens = 0, n_targets = 0;
  OrpoMeans orpo;  ///< only for ORPO
};

/// A loss that was computed without an update, as a sum over target tokens. ORPO: over pairs.
struct LossSum {
  double loss = 0;
  std::int64_t n_targets = 0;
  OrpoMeans orpo = {};  ///< only for ORPO
  double mean() const;
};

/// One trained tensor, as a range of the flat parameter vector.
struct ParameterRange {
  std::string name;  ///< "layer_3.ssm.in_proj.lora_a"
  Shape shape;
  std::int64_t first = 0;  ///< index of its first element
};

/// The vectors that an update changes. Each has one float32 for every trained parameter.
enum class ParameterVector : std::uint8_t { value, gradient, first_moment, second_moment };

struct TunerOptions {
  Precision precision = Precision::exact;
  Objective objective = Objective::sft;
  double beta = 0.1;
  OrpoPenalty orpo_penalty = OrpoPenalty::inside;
  AdapterSettings adapter;
  std::uint64_t seed = 42;  ///< of the initial adapter and of dropout
  /// The most tokens of a sequence. ORPO: of each of the two sequences of a pair.
  std::int64_t max_tokens = 2048;
  /// Whether the backward pass computes the activations again. Otherwise they are kept, which takes
  /// less time and much more memory. The results have the same bits.
  bool recompute = true;
  /// Whether write_masks() gives the masks of dropout, for comparisons with other programs.
  bool has_masks = false;
  /// The most rows of a step; at most kMaxRows. Only tests change it.
  std::int64_t step_rows = 512;
  std::function<void(std::uint64_t done_bytes, std::uint64_t total_bytes)> on_progress = {};
};

/// One line of the memory table.
struct MemoryLine {
  std::string what;
  std::uint64_t bytes = 0;
};

class Tuner {
 public:
  /// Loads the base model on `backend` and draws the initial adapter. Throws Error(io, format,
  /// unsupported), OutOfMemory before the weights are read, and Error(invalid_argument) for settings
  /// that do not fit the model.
  Tuner(BaseModel base, std::shared_ptr<Backend> backend, const TunerOptions& options);
  Tuner(Tuner&&) noexcept;
  Tuner& operator=(Tuner&&) noexcept;
  ~Tuner();

  /// Computes loss and gradients of an update and changes the parameters. ORPO: sequences 2i and
  /// 2i + 1 are the chosen and the rejected text of pair i. `before_part` runs before each part of the
  /// work, which is a step forward or backward; an exception of it ends the update, and nothing is
  /// changed. A step of the default model takes up to half a minute on two cores.
  UpdateResult update(std::span<const TrainSequence> sequences, const OptimizerSettings& optimizer,
                      const std::function<void()>& before_part = {});
  /// The loss without dropout and without gradients.
  LossSum evaluate(std::span<const TrainSequence> sequences,
                   const std::function<void()>& before_part = {});

  /// The trained tensors in the order of the flat vectors: input_proj, layers ascending, output_proj;
  /// of each layer lora_a [in, rank], lora_b [rank, out] and, for DoRA, m [out].
  std::span<const ParameterRange> parameters() const;
  std::vector<float> read(ParameterVector vector) const;
  void write(ParameterVector vector, std::span<const float> values);
  /// Sets the masks of dropout of all updates from now on: 1 to keep an element and 0 to drop it. Row i
  /// is that of the i-th token of an update. The columns are the inputs of the adapted layers, in the
  /// order of parameters(). The tokens must fit into TunerOptions::max_tokens.
  void write_masks(std::span<const float> masks);
  /// The inputs of all adapted layers: the columns of the masks.
  std::int64_t n_mask_columns() const;
  /// The number of applied updates. Bias correction and the learning rate depend on it.
  std::int64_t n_updates() const;
  void set_n_updates(std::int64_t n);

  /// The floating-point operations of an update, without those of the norms of DoRA.
  std::int64_t flops_of(std::span<const TrainSequence> sequences);

  /// Runs an update and returns the times of its launches. Empty if the device cannot measure times.
  std::vector<OpTime> op_times(std::span<const TrainSequence> sequences);

  const ModelSpec& spec() const;
  std::int64_t n_base_parameters() const;
  Precision precision() const;
  /// The bytes that training takes on the device, by purpose, before anything is allocated.
  static std::vector<MemoryLine> memory_table(const BaseModel& base,
                                              const BackendDescription& device,
                                              const TunerOptions& options);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace bitaxon
