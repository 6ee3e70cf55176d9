#include "training/train_memory.h"

#include <fmt/format.h>

#include <algorithm>

#include "bitaxon/error.h"
#include "core/plan.h"
#include "model/memory_need.h"
#include "model/step_graph.h"
#include "platform/printable.h"

namespace bitaxon {
namespace {

/// The logits of a step of the head, and their gradients, take at most this many bytes each.
constexpr std::int64_t kLogitBytes = std::int64_t{33} << 20;
constexpr std::int64_t kMostHeadRows = 256;

std::int64_t head_rows_of(const ModelSpec& spec) {
  std::int64_t rows = kMostHeadRows;
  while (rows > 1 && rows * spec.vocab_size * 4 > kLogitBytes) rows /= 2;
  return rows;
}

/// The largest arena of all graphs, in every size that steps can have.
std::size_t arena_of(const TrainedModel& model, const TunerPlan& plan,
                     const BackendDescription& device) {
  std::size_t most = 0;
  const auto add = [&](std::shared_ptr<Graph> graph) {
    most = std::max(most, schedule(std::move(graph), device)->arena_bytes);
  };
  for (std::int64_t n = 1; n <= bucket_of(plan.step_rows); n *= 2) {
    add(forward_graph(model, n, true));
    add(backward_graph(model, n));
  }
  for (std::int64_t n = 1; n <= plan.head_rows; n *= 2) add(head_graph(model, n, true));
  if (model.adapter.is_dora()) add(norms_graph(model));
  add(squares_graph(model));
  add(update_graph(model));
  return most;
}

bool is_adapter(const TrainIndex& index, std::int32_t tensor) {
  for (const std::int32_t own : {index.parameters, index.norms, index.gradients, index.first_moment,
                                 index.second_moment, index.numbers, index.squares})
    if (own == tensor) return true;
  return false;
}

}  // namespace

TunerPlan plan_tuner(const BaseModel& base, const BackendDescription& device,
                     const TunerOptions& options) {
  if (options.max_tokens < 1 || options.max_tokens > base.spec.max_seq_len)
    throw Error(ErrorKind::invalid_argument,
                fmt::format("max-seq-len: expected 1..{} tokens, got {}", base.spec.max_seq_len,
                            options.max_tokens));
  TunerPlan plan;
  plan.adapter = adapter_set(base.spec, options.adapter, options.seed);
  LoadOptions load;
  load.precision = options.precision;
  plan.precision = precision_for(base.found, load, device.always_exact());
  const std::int64_t n_sequences = options.objective == Objective::orpo ? 2 : 1;
  plan.step_rows = std::min(options.step_rows, bucket_of(options.max_tokens * n_sequences));
  plan.head_rows = std::min(head_rows_of(base.spec), bucket_of(plan.step_rows));
  plan.sizes = pass_sizes(options.max_tokens, n_sequences, plan.step_rows);
  const DType kv = plan.precision == Precision::exact ? DType::f32 : DType::f16;
  plan.layout =
      train_layout(base.spec, plan.adapter, plan.sizes, kv, options.has_masks, plan.index);
  const Weights weights = base.described(device, options.max_tokens, &plan.weight_bytes);
  const TrainedModel model{base.spec, weights, plan.layout, plan.index, plan.adapter};
  if (!options.recompute) keep_activations(model, plan.sizes.n_rows, plan.layout, plan.index);
  plan.arena_bytes = arena_of(model, plan, device);
  return plan;
}

std::vector<MemoryLine> memory_lines(const TunerPlan& plan, const BaseModel& base) {
  std::uint64_t adapter = 0, rows = 0, state = 0;
  for (std::size_t i = 0; i < plan.layout.tensors.size(); ++i) {
    const StateTensor& tensor = plan.layout.tensors[i];
    std::uint64_t& sum = tensor.kind != StateKind::shared                       ? state
                         : is_adapter(plan.index, static_cast<std::int32_t>(i)) ? adapter
                                                                                : rows;
    sum += tensor.size_bytes;
  }
  std::uint64_t loading = 0;
  for (const FoundWeight& weight : base.found)
    loading = std::max<std::uint64_t>(loading, weight.loaded().stored_bytes());
  return {{"weights", plan.weight_bytes},
          {"adapter, gradients and moments", adapter},
          {"rows kept for the backward pass", rows},
          {"state of sequences and its gradients", state},
          {"activations of a step", plan.arena_bytes},
          {"largest weight while loading", loading}};
}

void check_memory(const TunerPlan& plan, const BaseModel& base, const BackendDescription& device) {
  MemoryNeed need;
  for (const MemoryKind& kind : device.memory())
    need.rows.push_back({kind.name, {}, kind.available_bytes});
  std::vector<MemoryLine> lines = memory_lines(plan, base);
  const MemoryLine loading = lines.back();
  lines.pop_back();
  for (const MemoryLine& line : lines) need.rows.front().parts.push_back({line.what, line.bytes});
  need.rows.back().parts.push_back({loading.what, loading.bytes});
  const auto check = [&](const std::string& what, std::uint64_t bytes) {
    if (bytes > device.max_buffer_bytes() && need.too_large.empty())
      need.too_large = fmt::format("{} takes {}, the largest buffer is of {}", what,
                                   bytes_text(bytes), bytes_text(device.max_buffer_bytes()));
  };
  for (const StateTensor& tensor : plan.layout.tensors) check(tensor.name, tensor.size_bytes);
  check("the activations", plan.arena_bytes);
  if (!need.fits()) throw OutOfMemory(problem_of(need), std::move(need));
}

}  // namespace bitaxon
