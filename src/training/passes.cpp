#include "training/passes.h"

#include <algorithm>
#include <memory>
#include <numeric>

#include "core/align.h"
#include "core/assert.h"

namespace bitaxon {
namespace {

/// Fills one pass with sequences.
class PassBuilder {
 public:
  explicit PassBuilder(const PassOptions& options) : options_(options) {}

  /// Adds a group of sequences. Returns false and changes nothing if they do not fit.
  bool add(std::span<const TrainSequence> sequences, std::size_t first_index) {
    PassBuilder tried = *this;
    for (std::size_t i = 0; i < sequences.size(); ++i)
      if (!tried.add_sequence(sequences[i], first_index + i)) return false;
    *this = std::move(tried);
    return true;
  }
  bool is_empty() const { return pass_.steps.empty(); }
  Pass take() { return std::move(pass_); }

 private:
  bool add_sequence(const TrainSequence& sequence, std::size_t index) {
    const std::int64_t length = std::ssize(sequence.ids);
    const auto n_pages = static_cast<std::uint32_t>(divide_up(length, kPageRows));
    if (n_used_pages_ + n_pages > static_cast<std::uint32_t>(options_.sizes.n_pages)) return false;
    std::vector<std::uint32_t> pages(n_pages);
    std::iota(pages.begin(), pages.end(), n_used_pages_);
    n_used_pages_ += n_pages;
    for (std::int64_t at = 0; at < length;) {
      StepBuffer* step = open_step();
      if (step == nullptr) return false;
      const std::int64_t n =
          std::min(length - at, options_.step_rows - static_cast<std::int64_t>(step->n_rows));
      add_segment(*step, sequence, index, at, n, pages);
      at += n;
    }
    return true;
  }

  /// The step that takes further rows. nullptr if the pass is full.
  StepBuffer* open_step() {
    if (!pass_.steps.empty()) {
      StepBuffer& last = pass_.steps.back();
      if (last.n_rows < static_cast<std::uint32_t>(options_.step_rows) &&
          last.n_segments < std::uint32_t{kMaxSegments})
        return &last;
      if (std::ssize(pass_.steps) == options_.sizes.n_steps) return nullptr;
    }
    StepBuffer step;
    step.store_row = n_rows_;
    pass_.steps.push_back(std::move(step));
    return &pass_.steps.back();
  }

  void add_segment(StepBuffer& step, const TrainSequence& sequence, std::size_t index,
                   std::int64_t at, std::int64_t n, std::span<const std::uint32_t> pages) {
    const auto number = static_cast<std::uint32_t>(pass_.steps.size()) - 1;
    SegmentWords& segment = step.segments[step.n_segments++];
    segment.first_row = step.n_rows;
    segment.n_rows = static_cast<std::uint32_t>(n);
    segment.position = static_cast<std::uint32_t>(at);
    segment.read_version = number;
    segment.write_version = number + 1;
    segment.keeps_state = at + n < std::ssize(sequence.ids) ? 1 : 0;
    segment.micro_batch = static_cast<std::uint32_t>(sequence.micro_batch);
    segment.micro_row = static_cast<std::uint32_t>(sequence.first_row);
    TableWriter tables(step, segment, options_.n_page_groups);
    for (std::size_t g = 0; g < options_.n_page_groups; ++g) tables.set(g, 0, pages);
    for (std::int64_t i = at; i < at + n; ++i) {
      step.ids[step.n_rows++] = sequence.ids[static_cast<std::size_t>(i)];
      const std::int32_t label = sequence.labels[static_cast<std::size_t>(i)];
      if (label != TrainSequence::kNoTarget) pass_.targets.push_back({n_rows_, label, index});
      ++n_rows_;
    }
  }

  PassOptions options_;
  Pass pass_;
  std::uint32_t n_rows_ = 0, n_used_pages_ = 0;
};

}  // namespace

std::vector<Pass> cut_into_passes(std::span<const TrainSequence> sequences,
                                  const PassOptions& options) {
  std::vector<Pass> passes;
  auto builder = std::make_unique<PassBuilder>(options);
  const auto group = static_cast<std::size_t>(options.group);
  for (std::size_t at = 0; at < sequences.size(); at += group) {
    const auto together = sequences.subspan(at, group);
    if (builder->add(together, at)) continue;
    passes.push_back(builder->take());
    builder = std::make_unique<PassBuilder>(options);
    const bool fits = builder->add(together, at);
    BX_ASSERT(fits, "a group of sequences fits into an empty pass");
  }
  if (!builder->is_empty()) passes.push_back(builder->take());
  return passes;
}

std::vector<StepBuffer> head_steps(std::span<const TargetRow> targets, std::int64_t n_outputs) {
  std::vector<StepBuffer> steps;
  while (!targets.empty()) {
    const auto group = targets.first(std::min(targets.size(), static_cast<std::size_t>(n_outputs)));
    targets = targets.subspan(group.size());
    StepBuffer step;
    step.n_outputs = static_cast<std::uint32_t>(group.size());
    step.n_rows = step.n_outputs;
    step.n_segments = 1;
    step.segments[0].n_rows = step.n_rows;
    step.segments[0].keeps_state = 0;
    for (std::size_t i = 0; i < group.size(); ++i) {
      step.output_rows[i] = group[i].store_row;
      step.ids[i] = group[i].label;
    }
    steps.push_back(std::move(step));
  }
  return steps;
}

}  // namespace bitaxon
