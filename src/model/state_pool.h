// The memory of all states of a model: slots for recurrent state, and pages for keys and values.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "bitaxon/model_spec.h"
#include "core/backend.h"
#include "core/state_layout.h"
#include "model/adapter_set.h"
#include "model/page_counts.h"

namespace bitaxon {

/// The indices of a block's state tensors in the layout. -1 for a tensor that the block lacks.
struct BlockState {
  std::int32_t keys = -1;
  std::int32_t values = -1;
  std::int32_t conv_tail = -1;
  std::int32_t h = -1;
};

/// The index of each state tensor in the layout.
struct StateIndex {
  std::vector<BlockState> blocks;
  std::int32_t seen = -1;
  std::int32_t next_token = -1;
  // The adapter's vectors; -1 without an adapter:
  std::int32_t adapter_parameters = -1, adapter_norms = -1;
};

struct StatePoolOptions {
  std::int32_t n_slots = 1;
  std::int32_t n_forks = 0;
  int run_ahead = 2;  ///< steps that a state can take back
  DType kv_dtype = DType::f32;
  std::uint64_t fingerprint = 0;        ///< the model's fingerprint
  std::int64_t context = 0;             ///< the most tokens of a sequence
  const AdapterSet* adapter = nullptr;  ///< the adapter that the model runs with, if any
};

/// Allocates the state tensors, and lends their slots and pages to states. Tensors with pages begin
/// small and grow when the pages are needed, so that their memory follows the tokens that exist.
/// They never shrink.
class StatePool {
 public:
  StatePool(const ModelSpec& spec, std::shared_ptr<Backend> backend,
            const StatePoolOptions& options);

  const StateLayout& layout() const { return *layout_; }
  const std::shared_ptr<const StateLayout>& shared_layout() const { return layout_; }
  const StateIndex& index() const { return index_; }
  /// One buffer for each tensor of the layout. Growth replaces buffers of pages.
  const std::vector<Buffer>& buffers() const { return buffers_; }
  const Buffer& buffer(std::size_t tensor) const { return buffers_[tensor]; }
  Backend& backend() const { return *backend_; }
  const StatePoolOptions& options() const { return options_; }
  std::int64_t max_seq_len() const { return max_seq_len_; }
  /// The most tokens of a sequence.
  std::int64_t context() const { return options_.context; }
  std::uint32_t n_versions() const { return static_cast<std::uint32_t>(options_.run_ahead) + 1; }

  /// Takes a free slot. Throws Error(invalid_argument) if all slots are taken.
  std::int32_t take_slot();
  void give_back(std::int32_t slot) noexcept { free_.push_back(slot); }

  /// The uses of the pages of one group.
  PageCounts& counts(std::size_t group) { return counts_[group]; }
  const PageCounts& counts(std::size_t group) const { return counts_[group]; }
  /// The most pages of one sequence.
  std::int32_t pages_per_slot(std::size_t group) const {
    return layout_->page_groups[group].pages_per_slot;
  }
  /// Makes sure that each group has needed[group] free pages. May wait for all steps, to move pages
  /// into larger buffers. Throws Error(device) if there is no memory for them. Then no page has
  /// changed.
  void reserve_pages(std::span<const std::int32_t> needed);
  /// Queues a copy of a page, in all tensors of a group.
  void copy_page(std::size_t group, std::uint32_t from, std::uint32_t to);
  /// The most words of page tables that a step may have, for compiling plans.
  std::size_t table_words() const { return table_words_; }
  void reserve_table(std::size_t words);

  /// Called before buffers() or table_words() change. It drops what was compiled with them.
  std::function<void()> before_growth;

 private:
  void grow(std::size_t group, std::int32_t n_pages);

  std::shared_ptr<Backend> backend_;  // first, so that it outlives the buffers
  StatePoolOptions options_;
  std::int64_t max_seq_len_;
  StateIndex index_;  // before layout_, whose initializer fills it in
  std::shared_ptr<const StateLayout> layout_;
  std::vector<Buffer> buffers_;
  std::vector<std::int32_t> free_;
  std::vector<PageCounts> counts_;  ///< one for each page group
  std::size_t table_words_;
};

/// The layout of a model's state, which StatePool allocates. Fills in `index`.
StateLayout state_layout(const ModelSpec& spec, const StatePoolOptions& options, StateIndex& index);

/// The most bytes that exist twice while a tensor of pages grows.
std::uint64_t growth_bytes(const StateLayout& layout);

/// The bytes of keys and values that each token of a sequence adds, in layers without a window.
std::uint64_t bytes_per_token(const StateLayout& layout);

}  // namespace bitaxon
