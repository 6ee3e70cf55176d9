#include "model/state_pool.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "bitaxon/error.h"
#include "core/align.h"
#include "core/step.h"

namespace bitaxon {
namespace {

/// The pages that a group has at first, if it can have as many.
constexpr std::int32_t kFirstPages = 16;
constexpr std::size_t kFirstTableWords = 1024;

/// Adds the state tensors of blocks to a layout.
class LayoutBuilder {
 public:
  LayoutBuilder(const ModelSpec& spec, const StatePoolOptions& options, StateLayout& layout)
      : spec_(spec), options_(options), layout_(layout) {}

  BlockState add_block(std::int64_t block) {
    prefix_ = fmt::format("layer_{}.", block);
    return std::visit([&](const auto& mixer) { return add(mixer); }, spec_.block(block).mixer);
  }

 private:
  BlockState add(const AttentionSpec& attention) {
    const std::int32_t group = group_of(attention.window);
    BlockState state;
    state.keys = layout_.add_pages(prefix_ + "keys", options_.kv_dtype, attention.kv_dim(), group);
    state.values =
        layout_.add_pages(prefix_ + "values", options_.kv_dtype, attention.kv_dim(), group);
    return state;
  }

  BlockState add(const SelectiveScanSpec& scan) {
    const std::int32_t versions = options_.run_ahead + 1;
    BlockState state;
    state.conv_tail =
        layout_.add(prefix_ + "conv_tail", DType::f32, {scan.d_conv - 1, scan.d_inner}, versions);
    state.h = layout_.add(prefix_ + "h", DType::f32, {scan.d_state, scan.d_inner}, versions);
    return state;
  }

  /// The group of layers with this window.
  std::int32_t group_of(const std::optional<std::int64_t>& window) {
    const auto found = std::ranges::find(layout_.page_groups, window, &PageGroup::window);
    const auto index = static_cast<std::int32_t>(found - layout_.page_groups.begin());
    if (found != layout_.page_groups.end()) return index;
    const std::int32_t of_slot = pages_per_slot(window);
    // A fork and its parent share pages, except the last one. A window moves on from shared pages.
    const std::int32_t of_fork = window ? of_slot : 1;
    layout_.page_groups.push_back(
        {window, options_.n_slots * of_slot + options_.n_forks * of_fork, of_slot});
    return index;
  }

  std::int32_t pages_per_slot(const std::optional<std::int64_t>& window) const {
    std::int64_t pages = divide_up(options_.context, kPageRows);
    if (window) {
      // A chunk of kMaxRows rows reads `window` rows before it. Steps that are taken back may have
      // written run_ahead more rows. These rows may begin with the last row of a page.
      const std::int64_t rows = *window + kMaxRows + options_.run_ahead;
      pages = std::min(pages, (rows - 2) / kPageRows + 2);
    }
    return static_cast<std::int32_t>(pages);
  }

  const ModelSpec& spec_;
  const StatePoolOptions& options_;
  StateLayout& layout_;
  std::string prefix_;
};

}  // namespace

StateLayout state_layout(const ModelSpec& spec, const StatePoolOptions& options,
                         StateIndex& index) {
  StateLayout layout;
  layout.n_slots = options.n_slots + options.n_forks;
  const std::int32_t versions = options.run_ahead + 1;
  LayoutBuilder builder(spec, options, layout);
  for (std::int64_t i = 0; i < spec.n_blocks(); ++i) index.blocks.push_back(builder.add_block(i));
  index.seen = layout.add("seen", DType::u32, {divide_up(spec.vocab_size, 32)}, versions);
  index.next_token = layout.add("next_token", DType::i32, {1}, versions, StateKind::transient);
  if (options.adapter != nullptr) {
    index.adapter_parameters =
        layout.add_shared("adapter", DType::f32, {1, options.adapter->n_parameters});
    index.adapter_norms = layout.add_shared(
        "adapter_norms", DType::f32, {1, std::max<std::int64_t>(1, options.adapter->n_norms)});
  }
  return layout;
}

std::uint64_t bytes_per_token(const StateLayout& layout) {
  std::uint64_t bytes = 0;
  for (const StateTensor& tensor : layout.tensors)
    if (tensor.kind == StateKind::paged &&
        !layout.page_groups[static_cast<std::size_t>(tensor.page_group)].window)
      bytes += tensor.page_bytes() / kPageRows;
  return bytes;
}

std::uint64_t growth_bytes(const StateLayout& layout) {
  std::uint64_t most = 0;
  for (const StateTensor& tensor : layout.tensors)
    if (tensor.kind == StateKind::paged &&
        layout.page_groups[static_cast<std::size_t>(tensor.page_group)].n_pages > kFirstPages)
      most = std::max<std::uint64_t>(most, tensor.size_bytes);
  return most;
}

StatePool::StatePool(const ModelSpec& spec, std::shared_ptr<Backend> backend,
                     const StatePoolOptions& options)
    : backend_(std::move(backend)),
      options_(options),
      max_seq_len_(spec.max_seq_len),
      layout_(std::make_shared<StateLayout>(state_layout(spec, options, index_))),
      table_words_(kFirstTableWords) {
  for (const PageGroup& group : layout_->page_groups) {
    counts_.emplace_back(group.n_pages);
    counts_.back().grow(std::min(group.n_pages, kFirstPages));
  }
  for (const StateTensor& tensor : layout_->tensors) {
    const std::size_t size =
        tensor.kind == StateKind::paged
            ? tensor.page_bytes() *
                  static_cast<std::size_t>(
                      counts_[static_cast<std::size_t>(tensor.page_group)].n_pages())
            : tensor.size_bytes;
    buffers_.push_back(backend_->allocate(size, BufferUse::state));
  }
  for (std::int32_t slot = layout_->n_slots; slot-- > 0;) free_.push_back(slot);
}

std::int32_t StatePool::take_slot() {
  if (free_.empty())
    throw Error(ErrorKind::invalid_argument,
                fmt::format("[state] expected a free slot, all {} are taken", layout_->n_slots));
  const std::int32_t slot = free_.back();
  free_.pop_back();
  return slot;
}

void StatePool::reserve_pages(std::span<const std::int32_t> needed) {
  for (std::size_t g = 0; g < needed.size(); ++g) {
    const PageCounts& counts = counts_[g];
    const std::int32_t wanted = counts.n_used() + needed[g];
    if (wanted <= counts.n_pages()) continue;
    if (wanted > counts.most())
      throw Error(ErrorKind::device,
                  fmt::format("the KV cache is full: expected at most {} tokens in all sequences, "
                              "got {}; drop a sequence or load with a shorter context",
                              counts.most() * kPageRows, wanted * kPageRows));
    // Half as much again, so that growth is rare, and the memory that is not used yet is bounded.
    grow(g, std::min(std::max(wanted, counts.n_pages() + counts.n_pages() / 2), counts.most()));
  }
}

void StatePool::grow(std::size_t group, std::int32_t n_pages) {
  // No step may use the old buffers any more, so that each of them is freed before the next tensor
  // grows. Only one tensor at a time thus exists twice.
  backend_->finish();
  if (before_growth) before_growth();
  try {
    for (std::size_t i = 0; i < buffers_.size(); ++i) {
      const StateTensor& tensor = layout_->tensors[i];
      if (tensor.page_group != static_cast<std::int32_t>(group)) continue;
      const std::size_t size = tensor.page_bytes() * static_cast<std::size_t>(n_pages);
      if (buffers_[i].size_bytes >= size) continue;  // an earlier growth stopped after this tensor
      const Buffer grown = backend_->allocate(size, BufferUse::state);
      const BufferCopy copy{buffers_[i], 0, grown, 0, buffers_[i].size_bytes};
      backend_->copy({&copy, 1});
      backend_->finish();
      buffers_[i] = grown;
    }
  } catch (const Error& error) {
    throw Error(error.kind(), fmt::format("no memory for keys and values of {} tokens: {}",
                                          n_pages * kPageRows, error.what()));
  }
  counts_[group].grow(n_pages);
}

void StatePool::copy_page(std::size_t group, std::uint32_t from, std::uint32_t to) {
  for (std::size_t i = 0; i < buffers_.size(); ++i) {
    const StateTensor& tensor = layout_->tensors[i];
    if (tensor.page_group != static_cast<std::int32_t>(group)) continue;
    const std::size_t size = tensor.page_bytes();
    const BufferCopy copy{buffers_[i], from * size, buffers_[i], to * size, size};
    backend_->copy({&copy, 1});
  }
}

void StatePool::reserve_table(std::size_t words) {
  if (words <= table_words_) return;
  if (before_growth) before_growth();
  table_words_ = std::bit_ceil(words);
}

}  // namespace bitaxon
