#include "model/memory_need.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/align.h"
#include "core/backend_description.h"
#include "core/plan.h"
#include "core/step.h"
#include "model/rotary.h"
#include "model/state_pool.h"
#include "model/step_graph.h"
#include "ops/op.h"
#include "platform/printable.h"

namespace bitaxon {
namespace {

/// The shortest context with which a model is loaded if longer ones do not fit.
constexpr std::int64_t kShortestContext = kMaxRows;

/// Computes the sizes of a model from descriptions of its weights.
class Sizes {
 public:
  Sizes(const ModelSpec& spec, const std::vector<FoundWeight>& found, const LoadOptions& options,
        const BackendDescription& device, const AdapterSet* adapter)
      : spec_(spec),
        options_(options),
        device_(device),
        adapter_(adapter),
        kinds_(device.memory()) {
    const bool exact = precision_for(found, options, device.always_exact()) == Precision::exact;
    kv_dtype_ = exact ? DType::f32 : DType::f16;
    describe_weights(found);
    describe_made();
    // No activation depends on the length of the context.
    plan_arena(layout_for(spec.max_seq_len));
    check_buffer("the activations", arena_bytes_, too_large_);
  }

  /// The need with this context.
  ModelNeed need(std::int64_t context) const {
    std::vector<std::uint64_t> buffers = weight_buffers_;
    std::uint64_t weight_bytes = weight_bytes_;
    std::uint64_t state_bytes = 0;
    MemoryNeed need;
    need.too_large = too_large_;
    const auto add = [&](std::string_view what, std::uint64_t bytes, std::uint64_t& sum) {
      buffers.push_back(bytes);
      sum += bytes;
      check_buffer(what, bytes, need.too_large);
    };
    for (const RotarySpec& rotary : rotary_specs(spec_)) {
      const auto table = device_.describe(rotary_desc(rotary, context));
      add(table->name, table->packed_bytes, weight_bytes);
    }
    const StateLayout layout = layout_for(context);
    for (const StateTensor& tensor : layout.tensors) {
      add(tensor.name, tensor.size_bytes, state_bytes);
      note_problem(device_.problem_of(tensor), need.too_large);
    }
    buffers.push_back(arena_bytes_);
    add_rows(weight_bytes, state_bytes, growth_bytes(layout), buffers, need);
    return {std::move(need), arena_bytes_, context, bitaxon::bytes_per_token(layout)};
  }

 private:
  StateLayout layout_for(std::int64_t context) const {
    StateIndex ignored;
    return state_layout(spec_, pool_options(context), ignored);
  }
  StatePoolOptions pool_options(std::int64_t context) const {
    return {.n_slots = options_.n_slots,
            .n_forks = options_.n_forks,
            .run_ahead = options_.run_ahead,
            .kv_dtype = kv_dtype_,
            .context = context,
            .adapter = adapter_};
  }

  /// Fills in one row for each kind of memory.
  void add_rows(std::uint64_t weight_bytes, std::uint64_t state_bytes, std::uint64_t growth_bytes,
                const std::vector<std::uint64_t>& buffers, MemoryNeed& need) const {
    for (const MemoryKind& kind : kinds_)
      need.rows.push_back({kind.name, {}, kind.available_bytes});
    MemoryRow& main = need.rows.front();
    main.parts = {{"weights", weight_bytes}, {"state", state_bytes}, {"activations", arena_bytes_}};
    const std::uint64_t asked = main.needed_bytes();
    const std::uint64_t allocated = device_.allocated_bytes(buffers);
    main.parts.push_back({"rounding", allocated - asked});
    main.parts.push_back({"growth", growth_bytes});
    for (std::size_t i = 0; i < need.rows.size(); ++i)
      need.rows[i].parts.push_back({"staging", kinds_[i].backend_bytes});
    need.rows.back().parts.push_back({"loading", largest_stored_});
    for (MemoryRow& row : need.rows)
      std::erase_if(row.parts, [](const MemoryRow::Part& part) { return part.bytes == 0; });
  }

  /// Keeps only the first problem.
  static void note_problem(const std::string& problem, std::string& first) {
    if (first.empty()) first = problem;
  }
  void check_buffer(std::string_view what, std::uint64_t bytes, std::string& first) const {
    if (bytes > device_.max_buffer_bytes())
      note_problem(fmt::format("{} takes {}, the largest buffer is of {}", printable(what),
                               bytes_text(bytes), bytes_text(device_.max_buffer_bytes())),
                   first);
  }

  void describe_weights(const std::vector<FoundWeight>& found) {
    for (const FoundWeight& weight : found) {
      const WeightDesc desc = weight.loaded();
      const auto described = device_.describe(desc);
      weights_.set(weight.slot.key, described);
      const std::uint64_t packed = described->packed_bytes;
      weight_buffers_.push_back(packed);
      weight_bytes_ += packed;
      check_buffer(desc.name, packed, too_large_);
      note_problem(device_.problem_of(desc), too_large_);
      largest_stored_ = std::max(largest_stored_, desc.stored_bytes());
    }
  }

  /// Describes the weights that no checkpoint has. The size of a rotary table depends on the
  /// context.
  void describe_made() {
    for (const UnitNorm& norm : unit_norms(spec_)) {
      const auto described = device_.describe(norm.desc);
      weights_.set(norm.key, described);
      weight_buffers_.push_back(described->packed_bytes);
      weight_bytes_ += described->packed_bytes;
    }
    for (const RotarySpec& rotary : rotary_specs(spec_))
      weights_.set_rotary(rotary, device_.describe(rotary_desc(rotary, spec_.max_seq_len)));
  }

  /// Plans a step of every row bucket, because more rows do not always need a larger arena.
  void plan_arena(const StateLayout& layout) {
    StateIndex index;
    state_layout(spec_, pool_options(spec_.max_seq_len), index);
    const UniformStep& largest = options_.largest_step;
    const std::int64_t n_segments = std::min(options_.n_slots, kMaxSegments);
    const SamplerParams all_stages{.temperature = 1, .repetition_penalty = 2};
    for (std::int64_t n_rows = 1; n_rows <= kMaxRows; n_rows *= 2) {
      // The first segment has all rows. The other segments only add outputs.
      StepDemand demand;
      for (std::int64_t g = 0; g < n_segments; ++g)
        demand.add(g == 0 ? n_rows : 0, largest.output, all_stages);
      const StepKind kind = kind_of(demand, largest.layer_outputs);
      const StepGraph step = record_step(kind, spec_, weights_, layout, index, adapter_);
      const auto plan = schedule(step.graph, device_, {.reuse = options_.plan_reuse});
      arena_bytes_ = std::max(arena_bytes_, plan->arena_bytes);
      note_problem(device_.problem_of(*plan), too_large_);
    }
  }

  const ModelSpec& spec_;
  const LoadOptions& options_;
  const BackendDescription& device_;
  const AdapterSet* adapter_;
  std::vector<MemoryKind> kinds_;
  DType kv_dtype_ = DType::f32;
  Weights weights_;
  std::vector<std::uint64_t> weight_buffers_;  ///< sizes, in the order of allocation
  std::uint64_t weight_bytes_ = 0, largest_stored_ = 0;
  std::size_t arena_bytes_ = 0;
  std::string too_large_;
};

}  // namespace

Precision precision_for(const std::vector<FoundWeight>& found, const LoadOptions& options,
                        bool always_exact) {
  const bool has_short = std::any_of(found.begin(), found.end(), [](const FoundWeight& weight) {
    return weight.loaded().format_name() != "f32";
  });
  const bool exact = always_exact || !has_short || options.precision == Precision::exact;
  return exact ? Precision::exact : Precision::fast;
}

ModelNeed model_need(const ModelSpec& spec, const std::vector<FoundWeight>& found,
                     const LoadOptions& options, const BackendDescription& device,
                     const AdapterSet* adapter) {
  const Sizes sizes(spec, found, options, device, adapter);
  ModelNeed need = sizes.need(options.context.value_or(spec.max_seq_len));
  if (options.context || need.memory.fits() || need.bytes_per_token == 0) return need;
  // Searches for the longest context that fits, in whole pages.
  const auto in_pages = [&](std::int64_t n) {
    return sizes.need(std::min(n * kPageRows, spec.max_seq_len));
  };
  std::int64_t fits = kShortestContext / kPageRows;
  std::int64_t too_long = divide_up(spec.max_seq_len, kPageRows);
  need = in_pages(fits);
  if (!need.memory.fits()) return need;
  while (too_long - fits > 1) {
    const std::int64_t middle = fits + (too_long - fits) / 2;
    (in_pages(middle).memory.fits() ? fits : too_long) = middle;
  }
  return in_pages(fits);
}

std::string problem_of(const MemoryNeed& need) {
  std::string problem = "the model does not fit";
  const char* separator = ": ";
  for (const MemoryRow& row : need.rows) {
    if (row.fits()) continue;
    problem +=
        fmt::format("{}it needs {} of {}, {} are available", separator,
                    bytes_text(row.needed_bytes()), row.kind, bytes_text(*row.available_bytes));
    separator = "; ";
  }
  if (!need.too_large.empty()) problem += separator + need.too_large;
  return problem;
}

std::uint64_t MemoryRow::needed_bytes() const {
  std::uint64_t sum = 0;
  for (const Part& part : parts) sum += part.bytes;
  return sum;
}

bool MemoryNeed::fits() const {
  return too_large.empty() &&
         std::all_of(rows.begin(), rows.end(), [](const MemoryRow& row) { return row.fits(); });
}

}  // namespace bitaxon
