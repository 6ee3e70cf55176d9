// A loaded model: its weights on a backend, and the steps that it runs.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "bitaxon/backend.h"
#include "bitaxon/export.h"
#include "bitaxon/model_files.h"
#include "bitaxon/model_spec.h"
#include "bitaxon/precision.h"
#include "bitaxon/sampler_params.h"
#include "bitaxon/state.h"
#include "bitaxon/step_limits.h"

namespace bitaxon {

/// What a step returns for a segment.
enum class StepOutput : std::uint8_t { none, last_logits, all_logits, token };

struct StepOptions {
  bool layer_outputs = false;  ///< keep the activations after each layer for read_layer()
};

/// Describes a step whose segments all ask for the same output. Queries about a step that is not
/// submitted, such as its cost or its memory, take this description.
struct UniformStep {
  StepOutput output = StepOutput::token;
  bool layer_outputs = false;
};

struct LoadOptions {
  /// If empty, a model with a 16-bit or 4-bit tensor computes fast, and any other model computes
  /// exactly. Float32 models and backends with always_exact ignore this option and compute exactly.
  std::optional<Precision> precision = {};
  /// The number of steps that may be submitted ahead of the step that is waited for: 0 to
  /// kMaxRunAhead. State::rewind can take back the same number of steps.
  int run_ahead = 2;
  /// States that can exist at the same time: 1 to kMaxSlots. One step continues at most
  /// kMaxSegments of them.
  int n_slots = 1;
  /// States for State::fork that can exist besides: 0 to kMaxSlots - n_slots. They take memory for
  /// recurrent state and for windows, but not for a context of their own. All states together have
  /// keys and values for n_slots contexts.
  int n_forks = 0;
  /// The most tokens of a sequence: 1 to ModelSpec::max_seq_len. If empty, max_seq_len, or as many
  /// as fit into the memory of the device, with all slots in use.
  std::optional<std::int64_t> context = {};
  /// Loading reserves activation memory for steps of this form with up to kMaxRows rows. Steps of
  /// other forms may be submitted too. A step that needs more memory than that allocates it at its
  /// first submission.
  UniformStep largest_step = {};
  std::function<void(std::uint64_t done_bytes, std::uint64_t total_bytes)> on_progress = {};
  /// Quantizes matrices while they are read: "nf4" or "mlx". The result has the same bits as a model
  /// quantized with `bit-axon quantize`. If empty, matrices stay as they are stored.
  std::string quantize = {};
  int quantize_bits = 4;                  ///< mlx: bits of a code, 4 or 8
  std::int64_t quantize_group_size = 64;  ///< codes that share a scale: 32, 64 or 128
  /// A LoRA or DoRA adapter that the model runs with: its safetensors file, or the folder with this
  /// file. If empty, the model runs without an adapter. Random models ignore it.
  std::filesystem::path adapter = {};
  /// Replaces the factor of the adapter's product. Empty: as MergeOptions::scale.
  std::optional<double> adapter_scale = {};
  bool plan_reuse = true;  ///< whether values of a plan may share memory; false only in tests
};

/// The work of a step that does not depend on the device.
struct StepWork {
  /// The bytes of the weights as stored, plus the keys and values that are read. Each weight counts
  /// once. Experts count as if the rows chose as many different experts as possible.
  std::int64_t stored_bytes = 0;
  std::int64_t flops = 0;  ///< a multiply and an add are two operations
};

/// One sequence's part of a step.
struct SegmentInput {
  State* state = nullptr;
  std::span<const std::int32_t> ids;  ///< at most kMaxRows; empty feeds the latest sampled token
  SamplerParams sampler;              ///< used only if `output` is StepOutput::token
  StepOutput output = StepOutput::token;
};

/// The weights of a model on a backend, with a cache of the plans and executables of its steps.
/// Calls must come from one thread at a time. A model keeps its backend alive.
class BX_API Model {
 public:
  /// Loads a model from its files. Throws Error(io, format, device) if a file or the backend fails,
  /// and OutOfMemory before anything is loaded if the model does not fit. Each warning is one line.
  static Model load(std::shared_ptr<Backend> backend, const ModelFiles& files,
                    const LoadOptions& options, std::vector<std::string>& warnings);
  /// Makes a model of random weights from a seed. The weights are the same on every machine.
  static Model random(std::shared_ptr<Backend> backend, const ModelSpec& spec, std::uint64_t seed,
                      const LoadOptions& options);
  /// Makes a model of random four-bit weights. Codes are generated directly, without quantizing
  /// floats, so gigabytes take seconds. Matrices get codes in groups of 64, in the format that
  /// options.quantize names. A tied head becomes a matrix of its own with codes. The embedding and
  /// all other tensors are float16.
  static Model random_codes(std::shared_ptr<Backend> backend, const ModelSpec& spec,
                            std::uint64_t seed, const LoadOptions& options);
  Model(Model&&) noexcept;
  Model& operator=(Model&&) noexcept;
  ~Model();

  const ModelSpec& spec() const;
  Backend& backend() const;
  Precision precision() const;
  int run_ahead() const;
  /// The most tokens of a sequence.
  std::int64_t context() const;
  /// The bytes of keys and values that each further token of a sequence takes. 0 if the state of a
  /// long sequence does not grow.
  std::uint64_t bytes_per_token() const;
  /// The text of the checkpoint's vocab_mapping. Empty if the checkpoint has none.
  const std::string& vocab_mapping() const;
  /// Bytes of all packed weights.
  std::uint64_t packed_bytes() const;
  /// Bytes of the state of all slots, if each sequence is as long as possible.
  std::uint64_t state_bytes() const;
  /// Bytes that loading reserved for the activations, which all steps share.
  std::uint64_t arena_bytes() const;
  /// The format that holds the most bytes of the weights: "q4_affine_g64", "f16", ...
  const std::string& main_format() const;

  /// A fresh state in a free slot. Throws Error(invalid_argument) if all slots are taken.
  State new_state();

  /// The work of a step that feeds `n_rows` rows at `position` to each of `n_segments` sequences.
  StepWork work(std::int64_t n_rows, std::int64_t n_segments, std::int64_t position,
                const UniformStep& step, const SamplerParams& sampler = {});
  /// Sets whether the backend measures the times of ops in later steps (Backend::last_step_times).
  void measure_ops(bool wanted);

  /// Submits one step and returns without waiting for it. Segments may ask for different outputs.
  /// For example, a chunk of a prompt may share a step with sequences that sample. Throws
  /// Error(invalid_argument) that names the id for an id outside the vocabulary. Then no state has
  /// changed. If BackendCaps::max_run_ahead + 1 steps of this model are in flight, the call first
  /// waits for the oldest step.
  Ticket submit(std::span<const SegmentInput> segments, const StepOptions& options = {});
  /// Blocks until the step is done. Returns the tokens of its segments.
  StepResult wait(Ticket ticket);

  /// Feeds ids in chunks of at most kMaxRows ids. Only the last chunk asks for `output`. `on_chunk`
  /// is called with the ticket of each chunk except the last. If it returns false, no further chunk
  /// is fed. Returns the ticket of the last chunk that was fed. Before the first chunk is fed,
  /// throws Error(invalid_argument) for an empty list of ids, ids outside the vocabulary, a sampler
  /// out of range, and more ids than the state has room for.
  Ticket feed(State& state, std::span<const std::int32_t> ids, StepOutput output,
              const SamplerParams& sampler = {},
              const std::function<bool(Ticket chunk)>& on_chunk = {});
  /// The host work and the transfers of the latest step.
  StepCounts last_step() const;
  /// Waits for the latest step and copies its logits, rows x vocab_size. The segments that asked
  /// for logits follow each other in the order of the segments. Throws Error(invalid_argument) if
  /// no segment asked for logits.
  void read_logits(std::span<float> out);
  /// Copies the logits of one segment of the latest step. Throws Error(invalid_argument) if the
  /// segment did not ask for logits.
  void read_logits(std::size_t segment, std::span<float> out);
  /// Waits for the latest step and copies its activations after layer `layer`, rows x d_model.
  void read_layer(std::int64_t layer, std::span<float> out);

  /// Plans and compiles the step of one segment of `n_rows` rows, so that its first submission
  /// takes no longer than later ones.
  void prepare(std::int64_t n_rows, const UniformStep& step, const SamplerParams& sampler = {});
  /// Throws Error(invalid_argument) if an id is outside the vocabulary. The message names the first
  /// such id and the valid range.
  void check_ids(std::span<const std::int32_t> ids) const;
  /// The size of the arena of the plan for one segment of `n_rows` rows, and the size that the
  /// arena would have without reuse of memory.
  struct PlanSizes {
    std::size_t arena_bytes = 0;
    std::size_t unshared_bytes = 0;
  };
  PlanSizes plan_sizes(std::int64_t n_rows, const UniformStep& step);

 private:
  struct Impl;
  explicit Model(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace bitaxon
