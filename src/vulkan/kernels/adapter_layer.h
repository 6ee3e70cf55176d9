// What the launches of adapter, adapter_backward and dora_norms share.
#pragma once

#include <cstdint>

#include "ops/adapter.h"
#include "shaders/params/adapter.h"
#include "vulkan/run/launch.h"

namespace bitaxon::vulkan {

/// The sizes of an adapter.
struct AdapterSizes {
  std::int64_t n_rows, n_in, n_out, rank;
};

/// The parts of a row that workgroups compute with.
inline std::uint32_t rank_parts(std::int64_t rank) { return groups_for(rank, BX_ADAPTER_RANKS); }

/// The bindings of the parameters of a layer. Without DoRA, those of m and the norms are that of B.
struct AdapterBindings {
  LaunchContext::PartBinding a, b, m, norms;

  /// `parameters` and `norms` are operands.
  AdapterBindings(const LaunchContext& context, const AdapterSizes& sizes, int parameters_operand,
                  int norms_operand) {
    const auto place = context.params<AdapterPlace>();
    const auto part = [&](int operand, std::uint32_t first, std::int64_t count) {
      return context.bind_part(operand, Access::read, first, count);
    };
    a = part(parameters_operand, place.a, sizes.n_in * sizes.rank);
    b = part(parameters_operand, place.b, sizes.rank * sizes.n_out);
    m = place.is_dora != 0 ? part(parameters_operand, place.m, sizes.n_out) : b;
    norms = place.is_dora != 0 ? part(norms_operand, place.norm, sizes.n_out) : b;
  }
};

/// u = x A
inline Launch adapter_inner_launch(const LaunchContext& context, const AdapterSizes& sizes,
                                   const AdapterBindings& layer, int x, const Binding& u) {
  Launch launch;
  launch.shader = Shader::adapter_inner;
  launch.specialization = {{BX_ADAPTER_INNER_GROUP_SIZE, group_size(context.caps)}};
  launch.set_push(AdapterInnerPush{
      .n_in = to_uint(sizes.n_in), .rank = to_uint(sizes.rank), .a = layer.a.offset});
  launch.bindings = {context.bind(x, Access::read), layer.a.binding, u};
  launch.grid[0] = {.per = context.value(x).row_space};
  launch.grid[1].count = rank_parts(sizes.rank);
  return launch;
}

}  // namespace bitaxon::vulkan
