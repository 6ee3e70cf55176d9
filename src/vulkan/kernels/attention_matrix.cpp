#include "vulkan/kernels/attention_matrix.h"

#include <algorithm>
#include <bit>

#include "ops/attention.h"
#include "shaders/params/attention_matrix.h"
#include "vulkan/kernels/matrix_tile.h"
#include "vulkan/kernels/product.h"

namespace bitaxon::vulkan {
namespace {

constexpr std::uint32_t kMostQueries = 64;
constexpr std::uint32_t kMostShared = 8;
constexpr std::uint32_t kLeastGroup = 128;
/// Sums of the values that an invocation holds in registers; half as many with narrow subgroups, whose
/// devices have fewer registers for each invocation.
constexpr std::uint32_t kSums = 32;
constexpr std::uint32_t kWideSubgroup = 32;
/// With few registers for each lane: the widest head, and the most sums. Intel's compiler spills more.
constexpr std::uint32_t kWidestSmallHead = 192;
constexpr std::uint32_t kMostSmallSums = 24;
/// Workgroups that keep a device busy.
constexpr std::int64_t kBusyGroups = 128;
constexpr std::uint32_t kKeys = BX_ATTENTION_MATRIX_KEYS;

std::uint32_t head_stride(std::uint32_t head_dim) { return (head_dim / 8 + 1) * 16; }

/// The bytes of shared memory, as the shader declares it.
std::uint32_t shared_bytes(std::uint32_t queries, std::uint32_t head_dim, const MatrixShape& s) {
  const std::uint32_t keys = std::max(kKeys * head_stride(head_dim), queries * s.n * 4);
  return queries * head_stride(head_dim) + head_dim * (kKeys / 8 + 1) * 16 +
         queries * (kKeys / 4 + 1) * 16 + keys + queries * 4 + 16;
}

/// The subgroups that share the scores of the same queries. Others wait.
std::uint32_t across_scores(const AttentionBlock& block, const MatrixShape& s) {
  return std::min(block.across, kKeys / s.n);
}

/// Whether each subgroup has whole fragments of scores and sums, and the memory of the queries has
/// room for one fragment of each subgroup.
bool divides(const AttentionBlock& block, std::uint32_t head_dim, const MatrixShape& s) {
  const std::uint32_t down = block.subgroups / block.across;
  const std::uint32_t fragments = block.subgroups * s.m * s.n * 4;
  return block.queries % (down * s.m) == 0 && kKeys % (across_scores(block, s) * s.n) == 0 &&
         head_dim % (block.across * s.n) == 0 && fragments <= block.queries * head_stride(head_dim);
}

std::optional<AttentionBlock> block_of(const DeviceCaps& caps, const MatrixUnits& units,
                                       std::uint32_t queries, std::uint32_t head_dim) {
  if (shared_bytes(queries, head_dim, units.shape) > caps.max_shared_bytes) return std::nullopt;
  const bool is_narrow = units.subgroup_size < kWideSubgroup;
  const std::uint32_t sums = is_narrow ? kSums / 2 : kSums;
  // With narrow subgroups, the sums would not fit into fewer of them, even if some wait for the scores.
  const std::uint32_t most_across = (is_narrow ? head_dim : kKeys) / units.shape.n;
  const std::uint32_t most =
      std::min(std::bit_floor(caps.max_group_invocations), std::bit_floor(caps.max_group_size[0]));
  const std::uint32_t wanted =
      std::min(std::max(std::bit_ceil(queries * head_dim / sums), kLeastGroup), most);
  // With fewer invocations than wanted, each has more sums.
  for (std::uint32_t group = wanted; group >= units.subgroup_size && 4 * group >= wanted;
       group /= 2) {
    // The invocations of a query are in one subgroup, and each has four keys or more.
    const std::uint32_t lanes = group / queries;
    if (lanes == 0 || lanes > units.subgroup_size || 4 * lanes > kKeys) continue;
    if (has_small_lanes(caps) &&
        (head_dim > kWidestSmallHead || queries * head_dim > group * kMostSmallSums))
      return std::nullopt;
    AttentionBlock block{queries, 1, group / units.subgroup_size, 1};
    // Few fragments of queries and many of keys: each fragment of keys then serves one of queries.
    for (std::uint32_t across = 1; across <= std::min(block.subgroups, most_across); across *= 2) {
      block.across = across;
      if (divides(block, head_dim, units.shape)) return block;
    }
  }
  return std::nullopt;
}

}  // namespace

std::optional<AttentionBlock> attention_block(const DeviceCaps& caps, const AttentionPush& push,
                                              std::int64_t n_rows) {
  const auto units = matrix_units(caps);
  if (!units || push.head_dim % 16 != 0 || push.head_dim % units->shape.k != 0 ||
      kKeys % units->shape.k != 0)
    return std::nullopt;
  const std::uint32_t all = push.n_heads / push.n_kv_heads;
  for (std::uint32_t queries = kMostQueries; queries >= units->shape.m; queries /= 2) {
    if (queries == kMostQueries && n_rows * push.n_heads / queries < kBusyGroups) continue;
    auto block = block_of(caps, *units, queries, push.head_dim);
    if (!block) continue;
    // A power of two of heads, so that a block has whole rows.
    block->shared = std::min({all & (~all + 1), kMostShared, queries});
    return block;
  }
  return std::nullopt;
}

std::optional<Launch> attention_matrix_launch(const LaunchContext& context,
                                              const AttentionPush& push) {
  using namespace attention_operand;
  const DeviceCaps& caps = context.caps;
  if (context.precision != Precision::fast || caps.matrix_tile == 0 ||
      context.value(keys).dtype != DType::f16)
    return std::nullopt;
  const auto block = attention_block(caps, push, context.shape(q)[0]);
  if (!block) return std::nullopt;
  const MatrixUnits units = *matrix_units(caps);
  Launch launch;
  launch.shader = Shader::attention_matrix;
  launch.subgroup_size = units.subgroup_size;
  launch.specialization = {{BX_ATTENTION_MATRIX_GROUP_SIZE, block->subgroups * units.subgroup_size},
                           {BX_ATTENTION_MATRIX_M, units.shape.m},
                           {BX_ATTENTION_MATRIX_N, units.shape.n},
                           {BX_ATTENTION_MATRIX_K, units.shape.k},
                           {BX_ATTENTION_MATRIX_QUERIES, block->queries},
                           {BX_ATTENTION_MATRIX_SUBGROUPS, block->subgroups},
                           {BX_ATTENTION_MATRIX_ACROSS, block->across},
                           {BX_ATTENTION_MATRIX_HEAD_DIM, push.head_dim},
                           {BX_ATTENTION_MATRIX_SHARED, block->shared}};
  launch.set_push(push);
  launch.bindings = {context.step(), context.bind(q, Access::read),
                     context.bind(keys, Access::read), context.bind(values, Access::read),
                     context.bind(y, Access::write)};
  launch.grid = {GridAxis{push.n_heads / block->shared},
                 GridAxis{.per = RowSpace::rows, .rows_per_group = block->queries / block->shared},
                 GridAxis{}};
  return launch;
}

}  // namespace bitaxon::vulkan
