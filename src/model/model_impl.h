// The implementation of Model. loading.cpp loads models, and model.cpp runs their steps.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bitaxon/model.h"
#include "core/backend.h"
#include "core/step.h"
#include "model/loaded_adapter.h"
#include "model/state_impl.h"
#include "model/state_pool.h"
#include "model/step_cache.h"
#include "model/weights.h"

namespace bitaxon {

struct BX_HIDDEN Model::Impl {
  const std::shared_ptr<Backend> shared_backend;  // first, so that it outlives the members it made
  Backend& backend = *shared_backend;
  ModelSpec spec;
  LoadOptions options;
  Precision precision = Precision::exact;
  std::optional<LoadedAdapter> adapter;  ///< LoadOptions::adapter
  Weights weights;
  std::string vocab_mapping;
  std::uint64_t packed_bytes = 0;
  std::string main_format;
  std::size_t arena_bytes = 0;
  std::int64_t context = 0;  ///< the most tokens of a sequence
  std::shared_ptr<StatePool> pool;
  std::optional<StepCache> steps;
  /// The latest step.
  struct Latest {
    std::shared_ptr<const CompiledStep> compiled;
    std::int64_t n_rows = 0;
    std::size_t n_segments = 0;
    /// For each segment, the number of rows whose logits can be read.
    std::array<std::int64_t, kMaxSegments> rows_read{};
  } latest;
  std::vector<std::uint64_t> outstanding;  ///< tickets that were not waited for, ascending
  StepBuffer step;                         ///< reused for every submission
  std::vector<std::int32_t> page_demand;   ///< reused for every submission: pages of each group

  Impl(std::shared_ptr<Backend> on, ModelSpec described, LoadOptions how)
      : shared_backend(std::move(on)), spec(std::move(described)), options(std::move(how)) {}

  // loading.cpp
  void check_options() const;
  std::vector<FoundWeight> quantized(std::vector<FoundWeight> found, std::string_view name,
                                     std::vector<std::string>& warnings);
  void prepare_loading(const std::vector<FoundWeight>& found);
  void load(std::vector<FoundWeight> found, const ReadWeight& read);
  void finish_loading();
  void upload_adapter();
  void warn_of_context(std::vector<std::string>& warnings) const;
  void count_weights();
  // model.cpp
  void check_ids(std::span<const std::int32_t> ids) const;
  void check_state(const State* state) const;
  void check_segments(std::span<const SegmentInput> segments) const;
  Ticket submit_checked(std::span<const SegmentInput> segments, const StepOptions& wanted);
  StepResult wait(Ticket ticket);
  void prepare_pages(std::span<const SegmentInput> segments);
  void fill_step(std::span<const SegmentInput> segments);
  void fill_outputs(std::span<const SegmentInput> segments);
  void submitted(Ticket ticket, std::span<const SegmentInput> segments);
  void read_logits(std::size_t first_row, std::int64_t n_rows, std::span<float> out);
  void wait_for_latest();
};

}  // namespace bitaxon
