#include "model/memory_need.h"

#include <fmt/format.h>

#include <algorithm>

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

/// Computes the sizes of a model from descriptions of its weights.
class Sizes {
 public:
  Sizes(const ModelSpec& spec, const std::vector<FoundWeight>& found, const LoadOptions& options,
        const BackendDescription& device)
      : spec_(spec), options_(options), device_(device) {
    describe_weights(found);
    describe_made();
    const bool exact = precision_for(found, options, device.always_exact()) == Precision::exact;
    layout_ = state_layout(spec,
                           {.n_slots = options.n_slots,
                            .run_ahead = options.run_ahead,
                            .kv_dtype = exact ? DType::f32 : DType::f16},
                           index_);
    for (const StateTensor& tensor : layout_.tensors) {
      add(tensor.size_bytes, state_bytes_);
      check_buffer(tensor.name, tensor.size_bytes);
      note_problem(device_.problem_of(tensor));
    }
    plan_arena();
    buffers_.push_back(arena_bytes_);
    check_buffer("the activations", arena_bytes_);
  }

  std::size_t arena_bytes() const { return arena_bytes_; }

  MemoryNeed need() const {
    MemoryNeed need;
    need.too_large = too_large_;
    const std::vector<MemoryKind> kinds = device_.memory();
    for (const MemoryKind& kind : kinds) need.rows.push_back({kind.name, {}, kind.available_bytes});
    MemoryRow& main = need.rows.front();
    main.parts = {
        {"weights", weight_bytes_}, {"state", state_bytes_}, {"activations", arena_bytes_}};
    const std::uint64_t asked = main.needed_bytes();
    const std::uint64_t allocated = device_.allocated_bytes(buffers_);
    main.parts.push_back({"rounding", allocated - asked});
    for (std::size_t i = 0; i < need.rows.size(); ++i)
      need.rows[i].parts.push_back({"staging", kinds[i].backend_bytes});
    need.rows.back().parts.push_back({"loading", largest_stored_});
    for (MemoryRow& row : need.rows)
      std::erase_if(row.parts, [](const MemoryRow::Part& part) { return part.bytes == 0; });
    return need;
  }

 private:
  void add(std::uint64_t bytes, std::uint64_t& sum) {
    buffers_.push_back(bytes);
    sum += bytes;
  }
  /// Keeps only the first problem.
  void note_problem(const std::string& problem) {
    if (too_large_.empty()) too_large_ = problem;
  }
  void check_buffer(std::string_view what, std::uint64_t bytes) {
    if (bytes > device_.max_buffer_bytes())
      note_problem(fmt::format("{} takes {}, the largest buffer is of {}", printable(what),
                               bytes_text(bytes), bytes_text(device_.max_buffer_bytes())));
  }

  void describe_weights(const std::vector<FoundWeight>& found) {
    for (const FoundWeight& weight : found) {
      const WeightDesc desc = weight.loaded();
      const auto described = device_.describe(desc);
      weights_.set(weight.slot.key, described);
      const std::uint64_t packed = described->packed_bytes;
      add(packed, weight_bytes_);
      check_buffer(desc.name, packed);
      note_problem(device_.problem_of(desc));
      largest_stored_ = std::max(largest_stored_, desc.stored_bytes());
    }
  }

  /// Describes the weights that no checkpoint has.
  void describe_made() {
    for (const UnitNorm& norm : unit_norms(spec_)) {
      const auto described = device_.describe(norm.desc);
      weights_.set(norm.key, described);
      add(described->packed_bytes, weight_bytes_);
    }
    for (const RotarySpec& rotary : rotary_specs(spec_)) {
      const auto table = device_.describe(rotary_desc(rotary, spec_.max_seq_len));
      weights_.set_rotary(rotary, table);
      add(table->packed_bytes, weight_bytes_);
      check_buffer(table->name, table->packed_bytes);
    }
  }

  /// Plans a step of every row bucket, because more rows do not always need a larger arena.
  void plan_arena() {
    const UniformStep& largest = options_.largest_step;
    const std::int64_t n_segments = std::min(options_.n_slots, kMaxSegments);
    const SamplerParams all_stages{.temperature = 1, .repetition_penalty = 2};
    for (std::int64_t n_rows = 1; n_rows <= kMaxRows; n_rows *= 2) {
      // The first segment has all rows. The other segments only add outputs.
      StepDemand demand;
      for (std::int64_t g = 0; g < n_segments; ++g)
        demand.add(g == 0 ? n_rows : 0, largest.output, all_stages);
      const StepKind kind = kind_of(demand, largest.layer_outputs);
      const StepGraph step = record_step(kind, spec_, weights_, layout_, index_);
      const auto plan = schedule(step.graph, device_, {.reuse = options_.plan_reuse});
      arena_bytes_ = std::max(arena_bytes_, plan->arena_bytes);
      note_problem(device_.problem_of(*plan));
    }
  }

  const ModelSpec& spec_;
  const LoadOptions& options_;
  const BackendDescription& device_;
  Weights weights_;
  StateIndex index_;
  StateLayout layout_;
  std::vector<std::uint64_t> buffers_;  ///< sizes of the buffers, in the order of allocation
  std::uint64_t weight_bytes_ = 0, state_bytes_ = 0, largest_stored_ = 0;
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
                     const LoadOptions& options, const BackendDescription& device) {
  const Sizes sizes(spec, found, options, device);
  return {sizes.need(), sizes.arena_bytes()};
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
