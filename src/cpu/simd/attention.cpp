//   y[i, head] = sum_j softmax_j(q[i] . k[j] / sqrt(head_dim)) * v[j],  j <= i, i - j < window
// Each head of keys and values is read once for all heads of queries that it serves.
#include "ops/attention.h"

#include <algorithm>
#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/simd/attention.cpp"
#include "cpu/simd/each_target.h"
// The rest must follow each_target.h.
#include "cpu/simd/attention_lanes-inl.h"
#include "cpu/simd/kernels.h"

HWY_BEFORE_NAMESPACE();
namespace bitaxon::cpu {
namespace HWY_NAMESPACE {
namespace {

void attend_f32(const Heads& heads, std::int64_t block, const Sums& sums) {
  attend<float>(heads, block, sums);
}
void attend_f16(const Heads& heads, std::int64_t block, const Sums& sums) {
  attend<std::uint16_t>(heads, block, sums);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace bitaxon::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace bitaxon::cpu {
namespace {

HWY_EXPORT(begin);
HWY_EXPORT(attend_f32);
HWY_EXPORT(attend_f16);
HWY_EXPORT(merge);

/// The most blocks whose results are kept until they are merged.
constexpr std::int64_t kMostBlocks = 64;

struct Sizes {
  AttentionParams params;
  std::int64_t n_shared, head_dim, padded, most_blocks;

  std::int64_t queries() const { return params.n_heads * kItemRows; }
  /// The number of floats in one Sums, rounded up to whole cache lines.
  std::int64_t sums() const { return align_up(queries() * (padded + 2), 16); }

  Sizes(const AttentionParams& of_node, std::int64_t width)
      : params(of_node),
        n_shared(params.n_heads / params.n_kv_heads),
        head_dim(width / params.n_kv_heads),
        padded(align_up(head_dim, 16)),
        most_blocks(kMostBlocks) {
    if (params.window > 0)
      most_blocks = std::min(most_blocks, (params.window + kItemRows) / kKeys + 2);
  }
};

struct Scratch {
  Sizes sizes;
  std::int64_t per_thread;
  float* memory;  ///< [n_threads, per_thread]: scaled, scores, sums of a block, sums of all blocks
  float* blocks;  ///< [most_blocks, sums]: used if different threads compute the blocks

  Scratch(ScratchLayout& layout, const NodeView& node, int n_threads)
      : sizes(node.params<AttentionParams>(), node.shape(attention_operand::keys)[1]),
        per_thread(sizes.queries() * (sizes.padded + kKeys) + 2 * sizes.sums()),
        memory(layout.take<float>(n_threads * per_thread)),
        blocks(layout.take<float>(sizes.most_blocks * sizes.sums())) {}
};

Sums sums_at(float* memory, const Sizes& sizes) {
  float* largest = memory + sizes.queries() * sizes.padded;
  return {memory, largest, largest + sizes.queries()};
}

/// Sets the sums to their initial values: no position has been added yet.
void clear(const Sums& sums, const Sizes& sizes) {
  std::fill_n(sums.values, sizes.queries() * sizes.padded, 0.0F);
  std::fill_n(sums.largest, sizes.queries(), -std::numeric_limits<float>::infinity());
  std::fill_n(sums.totals, sizes.queries(), 0.0F);
}

void divide(const Heads& heads, const Sums& sums) {
  for (int h = 0; h < heads.n_heads; ++h)
    for (int i = 0; i < heads.n_queries(); ++i) {
      const std::int64_t place = heads.place(h, i);
      float* y = heads.y + heads.offset(h, i);
      for (std::int64_t c = 0; c < heads.head_dim; ++c)
        y[c] = sums.values[place * heads.padded + c] / sums.totals[place];
    }
}

/// Computes attention for the rows of one segment.
class Attention {
 public:
  Attention(const KernelArgs& args, const SegmentWords& segment, const Scratch& scratch)
      : args_(args),
        segment_(segment),
        half_(args.value(attention_operand::keys).dtype == DType::f16),
        sizes_(scratch.sizes),
        scratch_(scratch) {}

  void run() {
    const std::int64_t n_groups = divide_up<std::int64_t>(segment_.n_rows, kItemRows);
    if (n_groups == 1)
      share_blocks();
    else
      share_rows(n_groups);
  }

 private:
  /// `first_head` and `n_heads` count heads of keys.
  Heads heads_of(std::int64_t first_row, std::int64_t first_head, std::int64_t n_heads,
                 int thread) const {
    using namespace attention_operand;
    const std::int64_t q_width = sizes_.params.n_heads * sizes_.head_dim;
    const std::int64_t column = first_head * sizes_.head_dim;
    const std::int64_t at = (segment_.first_row + first_row) * q_width + column * sizes_.n_shared;
    const auto offset = static_cast<std::size_t>(column) * (half_ ? 2 : 4);
    float* memory = scratch_.memory + thread * scratch_.per_thread;
    return {
        .q = args_.data(q) + at,
        .keys = args_.data<std::byte>(keys) + offset,
        .values = args_.data<std::byte>(values) + offset,
        .key_rows = args_.pages(keys, segment_),
        .value_rows = args_.pages(values, segment_),
        .y = args_.data(y) + at,
        .scaled = memory,
        .scores = memory + sizes_.queries() * sizes_.padded,
        .position = segment_.position + first_row,
        .n_rows = static_cast<int>(std::min<std::int64_t>(kItemRows, segment_.n_rows - first_row)),
        .n_heads = static_cast<int>(n_heads),
        .n_shared = static_cast<int>(sizes_.n_shared),
        .params = sizes_.params,
        .q_width = q_width,
        .head_dim = sizes_.head_dim,
        .padded = sizes_.padded};
  }
  float* sums_of(int thread, int index) const {
    return scratch_.memory + thread * scratch_.per_thread +
           sizes_.queries() * (sizes_.padded + kKeys) + index * sizes_.sums();
  }
  void attend(const Heads& heads, std::int64_t block, const Sums& sums) const {
    if (half_)
      HWY_DYNAMIC_DISPATCH(attend_f16)(heads, block, sums);
    else
      HWY_DYNAMIC_DISPATCH(attend_f32)(heads, block, sums);
  }

  /// For few rows. A work item is a block of positions with all heads. The heads of a position are
  /// contiguous in memory.
  void share_blocks() {
    const std::int64_t n_heads = sizes_.params.n_kv_heads;
    const Heads all = heads_of(0, 0, n_heads, 0);
    const std::int64_t end = all.last() / kKeys + 1;
    const Sums whole = sums_at(sums_of(0, 1), sizes_);
    clear(whole, sizes_);
    for (std::int64_t first = all.first_of(0) / kKeys; first < end; first += sizes_.most_blocks) {
      const std::int64_t n_blocks = std::min(sizes_.most_blocks, end - first);
      args_.pool.parallel_for(n_blocks, 4 * kKeys * sizes_.params.n_heads * sizes_.head_dim,
                              [&](std::int64_t from, std::int64_t to, int thread) {
                                const Heads heads = heads_of(0, 0, n_heads, thread);
                                HWY_DYNAMIC_DISPATCH(begin)(heads);
                                for (std::int64_t b = from; b < to; ++b)
                                  attend(heads, (first + b) * kKeys, block_sums(b));
                              });
      for (std::int64_t b = 0; b < n_blocks; ++b)
        HWY_DYNAMIC_DISPATCH(merge)(all, block_sums(b), whole);
    }
    divide(all, whole);
  }
  Sums block_sums(std::int64_t block) const {
    return sums_at(scratch_.blocks + block * sizes_.sums(), sizes_);
  }

  /// For many rows. A work item is a few rows of some heads, with all positions.
  void share_rows(std::int64_t n_groups) {
    constexpr std::int64_t kItemHeads = 8;  // of queries
    const std::int64_t n_heads = sizes_.params.n_kv_heads;
    const std::int64_t heads_each =
        std::clamp<std::int64_t>(kItemHeads / sizes_.n_shared, 1, n_heads);
    const std::int64_t head_groups = divide_up(n_heads, heads_each);
    const std::int64_t last = static_cast<std::int64_t>(segment_.position) + segment_.n_rows;
    args_.pool.parallel_for(
        n_groups * head_groups,
        heads_each * sizes_.n_shared * kItemRows * sizes_.params.most_keys(last) * sizes_.head_dim,
        [&](std::int64_t from, std::int64_t to, int thread) {
          for (std::int64_t item = from; item < to; ++item) {
            const std::int64_t first_head = item % head_groups * heads_each;
            const Heads heads = heads_of(item / head_groups * kItemRows, first_head,
                                         std::min(heads_each, n_heads - first_head), thread);
            const Sums block_sum = sums_at(sums_of(thread, 0), sizes_);
            const Sums whole = sums_at(sums_of(thread, 1), sizes_);
            HWY_DYNAMIC_DISPATCH(begin)(heads);
            clear(whole, sizes_);
            for (std::int64_t block = heads.first_of(0) / kKeys * kKeys; block <= heads.last();
                 block += kKeys) {
              attend(heads, block, block_sum);
              HWY_DYNAMIC_DISPATCH(merge)(heads, block_sum, whole);
            }
            divide(heads, whole);
          }
        });
  }

  const KernelArgs& args_;
  const SegmentWords& segment_;
  bool half_;
  const Sizes& sizes_;
  const Scratch& scratch_;
};

void run(const KernelArgs& args, const Scratch& scratch) {
  for (const SegmentWords& segment : args.segments()) Attention(args, segment, scratch).run();
}

}  // namespace

const CpuKernel simd_attention = kernel_with_scratch<Scratch, run>();

}  // namespace bitaxon::cpu
#endif
