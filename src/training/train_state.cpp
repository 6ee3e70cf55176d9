#include "training/train_state.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/align.h"
#include "core/step.h"

namespace bitaxon {
namespace {

/// Adds the tensors of blocks to a layout.
class LayoutBuilder {
 public:
  LayoutBuilder(const ModelSpec& spec, const PassSizes& sizes, DType kv_dtype, StateLayout& layout)
      : spec_(spec), sizes_(sizes), kv_dtype_(kv_dtype), layout_(layout) {}

  TrainBlock add_block(std::int64_t index) {
    const BlockSpec& block = spec_.block(index);
    prefix_ = fmt::format("layer_{}.", index);
    TrainBlock made = std::visit([&](const auto& mixer) { return add(mixer); }, block.mixer);
    made.input = add_store("input", spec_.d_model);
    if (!std::holds_alternative<std::monostate>(block.feed_forward))
      made.middle = add_store("middle", spec_.d_model);
    return made;
  }

 private:
  TrainBlock add(const AttentionSpec& attention) {
    const std::int32_t group = group_of(attention.window);
    const auto pages = [&](const char* name, DType dtype) {
      return layout_.add_pages(prefix_ + name, dtype, attention.kv_dim(), group);
    };
    TrainBlock block;
    block.forward.keys = pages("keys", kv_dtype_);
    block.forward.values = pages("values", kv_dtype_);
    block.g_keys = pages("g_keys", DType::f32);
    block.g_values = pages("g_values", DType::f32);
    return block;
  }

  TrainBlock add(const SelectiveScanSpec& scan) {
    const auto versions = static_cast<std::int32_t>(sizes_.n_steps) + 1;
    const Shape tail{scan.d_conv - 1, scan.d_inner};
    const Shape state{scan.d_state, scan.d_inner};
    TrainBlock block;
    block.forward.conv_tail = layout_.add(prefix_ + "conv_tail", DType::f32, tail, versions);
    block.forward.h = layout_.add(prefix_ + "h", DType::f32, state, versions);
    block.conv_carry = layout_.add(prefix_ + "conv_carry", DType::f32, tail, 2);
    block.h_carry = layout_.add(prefix_ + "h_carry", DType::f32, state, 2);
    return block;
  }

  std::int32_t add_store(const char* name, std::int64_t cols) {
    return layout_.add_shared(prefix_ + name, DType::f32, {sizes_.n_rows, cols});
  }

  std::int32_t group_of(const std::optional<std::int64_t>& window) {
    const auto found = std::ranges::find(layout_.page_groups, window, &PageGroup::window);
    const auto index = static_cast<std::int32_t>(found - layout_.page_groups.begin());
    if (found == layout_.page_groups.end()) {
      const auto n = static_cast<std::int32_t>(sizes_.n_pages);
      layout_.page_groups.push_back({window, n, n});
    }
    return index;
  }

  const ModelSpec& spec_;
  const PassSizes& sizes_;
  DType kv_dtype_;
  StateLayout& layout_;
  std::string prefix_;
};

}  // namespace

PassSizes pass_sizes(std::int64_t max_tokens, std::int64_t n_sequences, std::int64_t step_rows) {
  PassSizes sizes;
  sizes.n_steps = divide_up(max_tokens * n_sequences, step_rows);
  sizes.n_rows = sizes.n_steps * step_rows;
  // A sequence wastes half a page on average. A quarter more pages serve sequences of two pages.
  const std::int64_t n_full = n_sequences * divide_up(max_tokens, kPageRows);
  sizes.n_pages = std::max(n_full, sizes.n_rows / kPageRows * 5 / 4);
  return sizes;
}

StateLayout train_layout(const ModelSpec& spec, const AdapterSet& adapter, const PassSizes& sizes,
                         DType kv_dtype, bool has_masks, TrainIndex& index) {
  StateLayout layout;
  LayoutBuilder builder(spec, sizes, kv_dtype, layout);
  const auto versions = static_cast<std::int32_t>(sizes.n_steps) + 1;
  for (std::int64_t i = 0; i < spec.n_blocks(); ++i) index.blocks.push_back(builder.add_block(i));
  index.seen = layout.add("seen", DType::u32, {divide_up(spec.vocab_size, 32)}, versions);
  index.next_token = layout.add("next_token", DType::i32, {1}, versions, StateKind::transient);
  const auto store = [&](const char* name, std::int64_t cols) {
    return layout.add_shared(name, DType::f32, {sizes.n_rows, cols});
  };
  const auto vector = [&](const char* name, std::int64_t n) {
    return layout.add_shared(name, DType::f32, {1, std::max<std::int64_t>(1, n)});
  };
  index.last = store("last", spec.d_model);
  index.head = store("head", spec.d_embedding);
  index.g_head = store("g_head", spec.d_embedding);
  index.factors = vector("factors", sizes.n_rows);
  index.log_probs = vector("log_probs", sizes.n_rows);
  if (has_masks) index.masks = store("masks", adapter.n_inputs);
  index.parameters = vector("parameters", adapter.n_parameters);
  index.norms = vector("norms", adapter.n_norms);
  index.gradients = vector("gradients", adapter.n_parameters);
  index.first_moment = vector("first_moment", adapter.n_parameters);
  index.second_moment = vector("second_moment", adapter.n_parameters);
  index.squares = vector("squares", 1);
  index.numbers = vector("numbers", 8);
  return layout;
}

}  // namespace bitaxon
