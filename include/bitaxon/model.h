// A loaded model: weights on a backend, and steps of it.
#pragma once

#include <cstdint>
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

/// What a step hands back for a segment.
enum class StepOutput : std::uint8_t { none, last_logits, all_logits, token };

struct StepOptions {
  bool layer_outputs = false;  ///< keep the activations after each layer (read_layer)
};

/// A step whose segments all ask for the same output. Questions about a step that is not submitted
/// (what it costs, which memory it takes) describe it this way.
struct UniformStep {
  StepOutput output = StepOutput::token;
  bool layer_outputs = false;
};

struct LoadOptions {
  /// Empty: fast for a model with a 16-bit or 4-bit tensor, else exact. Float32 models and backends
  /// that are always exact compute exactly whatever is asked for.
  std::optional<Precision> precision = {};
  /// Steps that can be submitted before the oldest is waited for, 0 to kMaxRunAhead.
  int run_ahead = 2;
  /// States that exist at the same time, 1 to kMaxSlots. A step may continue kMaxSegments of them.
  int n_slots = 1;
  /// Loading sets memory aside for steps like this one, of up to kMaxRows rows. Others may be
  /// submitted; one that takes more memory asks for it when it is first met.
  UniformStep largest_step = {};
  std::function<void(std::uint64_t done_bytes, std::uint64_t total_bytes)> on_progress = {};
  /// Makes matrices four bits while they are read, to the bits of a model that was quantized
  /// before: "nf4" or "mlx" in groups of 64; empty: as they are stored.
  std::string quantize = {};
  bool plan_reuse = true;  ///< false: no memory of a plan is used twice (tests compare)
};

/// What steps have to do, whatever computes them.
struct StepWork {
  /// Weights as stored, each once in a step (of experts those that rows choose at most), and the
  /// keys and values that are read.
  std::int64_t stored_bytes = 0;
  std::int64_t flops = 0;  ///< a multiply and an add are two
};

/// One sequence's part of a step.
struct SegmentInput {
  State* state = nullptr;
  std::span<const std::int32_t> ids;  ///< 1 to kMaxRows; empty: feed back the token last sampled
  SamplerParams sampler;              ///< for StepOutput::token
  StepOutput output = StepOutput::token;
};

/// Weights of a model on a backend, with the plans and executables of the step kinds met so far.
/// Calls come from one thread at a time. A model keeps its backend alive.
class BX_API Model {
 public:
  /// Throws Error(io, format, device) as the files and the backend do, OutOfMemory before anything
  /// is loaded. Warnings are one line each.
  static Model load(std::shared_ptr<Backend> backend, const ModelFiles& files,
                    const LoadOptions& options, std::vector<std::string>& warnings);
  /// Random weights from a seed: the same on every machine.
  static Model random(std::shared_ptr<Backend> backend, const ModelSpec& spec, std::uint64_t seed,
                      const LoadOptions& options);
  /// Random weights that are four bits from the beginning: gigabytes within seconds. Matrices are
  /// made up as codes in groups of 64 in the format that options.quantize names, the head beside
  /// the embedding included; other tensors are float16.
  static Model random_codes(std::shared_ptr<Backend> backend, const ModelSpec& spec,
                            std::uint64_t seed, const LoadOptions& options);
  Model(Model&&) noexcept;
  Model& operator=(Model&&) noexcept;
  ~Model();

  const ModelSpec& spec() const;
  Backend& backend() const;
  Precision precision() const;
  int run_ahead() const;
  /// Of a ported checkpoint: the text of its vocab_mapping; empty without one.
  const std::string& vocab_mapping() const;
  /// Bytes of all packed weights.
  std::uint64_t packed_bytes() const;
  std::uint64_t state_bytes() const;
  /// Of the activations that all steps share, as they were set aside when it was loaded.
  std::uint64_t arena_bytes() const;
  /// The format of most of the weights' bytes: "q4_affine_g64", "f16", ...
  const std::string& main_format() const;

  State new_state();

  /// What a step has to do that feeds each of `n_segments` sequences `n_rows` rows at `position`.
  StepWork work(std::int64_t n_rows, std::int64_t n_segments, std::int64_t position,
                const UniformStep& step, const SamplerParams& sampler = {});
  /// Whether the backend measures the ops of steps from here on (Backend::last_step_times).
  void measure_ops(bool wanted);

  /// Submits one step and returns. Segments may ask for different outputs: a chunk of a prompt may
  /// share a step with sequences that sample. Ids are checked here: an id outside the vocabulary is
  /// an Error(invalid_argument) that names it, and no state has changed. At most run_ahead + 1 steps
  /// may be unwaited.
  Ticket submit(std::span<const SegmentInput> segments, const StepOptions& options = {});
  /// Blocks until the step is done. Returns the tokens of its segments.
  StepResult wait(Ticket ticket);

  /// Feeds ids in chunks of at most kMaxRows; the last one with `output`, the others without
  /// output. `on_chunk` is called after each chunk but the last, with its ticket; if it returns
  /// false, no more is fed. Returns the ticket of the last chunk. Everything is checked before the
  /// first chunk: throws Error(invalid_argument) for no ids, ids outside the vocabulary, a sampler
  /// out of range, and more ids than the state has room for.
  Ticket feed(State& state, std::span<const std::int32_t> ids, StepOutput output,
              const SamplerParams& sampler = {},
              const std::function<bool(Ticket chunk)>& on_chunk = {});
  /// Host work and transfers of the step submitted last.
  StepCounts last_step() const;
  /// Logits of the step submitted last, rows x vocab_size: those of every segment that asked for
  /// logits, in the order of the segments. Waits. Throws Error(invalid_argument) when none asked.
  void read_logits(std::span<float> out);
  /// Those of one segment. Throws Error(invalid_argument) when it did not ask for logits.
  void read_logits(std::size_t segment, std::span<float> out);
  /// Activations after layer `layer` in the step submitted last, rows x d_model. Waits.
  void read_layer(std::int64_t layer, std::span<float> out);

  /// Plans and compiles the step of one segment of `n_rows` rows, so that the first one that is
  /// submitted takes no longer than the others.
  void prepare(std::int64_t n_rows, const UniformStep& step, const SamplerParams& sampler = {});
  /// Throws Error(invalid_argument) that names the id and the vocabulary's size.
  void check_ids(std::span<const std::int32_t> ids) const;
  /// Arena of the plan for one segment of `n_rows` rows, and what its tensors add up to.
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
