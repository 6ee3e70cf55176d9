// Tests of how matrix products become launches, on fabricated devices.
#include "vulkan/kernels/product.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <memory>

#include "bitaxon/error.h"
#include "bitaxon/ops.h"
#include "shaders/params/product_tile.h"
#include "shaders/params/product_vec.h"
#include "shaders/params/rms_norm.h"
#include "vulkan/run/kernel.h"

namespace bitaxon::vulkan {
namespace {

/// Capabilities with the lowest limits that a device may have.
DeviceCaps small_caps(std::uint32_t subgroup_size = 32) {
  DeviceCaps caps;
  caps.subgroup_size = caps.min_subgroup_size = caps.max_subgroup_size = subgroup_size;
  caps.max_storage_buffer_bytes = std::uint64_t{128} << 20;
  caps.max_shared_bytes = kMinSharedBytes;
  caps.max_group_invocations = kMinGroupInvocations;
  caps.max_group_size = {128, 128, 64};
  caps.max_group_count = {65535, 65535, 65535};
  return caps;
}

std::shared_ptr<const Weight> weight_of(std::int64_t rows, std::int64_t cols) {
  auto packed = std::make_shared<PackedWeight>();
  packed->desc = {.name = "w", .rows = rows, .cols = cols, .dtype = DType::f16};
  packed->form = packed_layout(packed->desc).form;
  auto weight = std::make_shared<Weight>();
  weight->shape = Shape({1, rows, cols});
  weight->packed = packed;
  return weight;
}

struct Product {
  std::int64_t n_rows = 1;
  std::int64_t n_out = 64;
  std::int64_t n_cols = 64;
  bool norm = false;
  bool residual = false;
  bool bias = false;
  std::int64_t columns_beyond = 0;  ///< columns of x that the product does not read
  /// The number of outputs. Only the rows of these outputs are computed. 0: every row is computed.
  std::int64_t outputs = 0;
};

constexpr std::size_t kY = 3;  // number of the result's binding

struct Launches {
  std::vector<Launch> all;
  std::size_t scratch_bytes = 0;
};

Launches launches_of(const Product& product, const DeviceCaps& caps) {
  Graph graph;
  LinearOptions options;
  if (product.norm) {
    options.norm = graph.weight(weight_of(1, product.n_cols));
    options.eps = 1;
  }
  if (product.bias) options.bias = graph.weight(weight_of(1, product.n_out));
  if (product.residual) options.residual = graph.input(DType::f32, {product.n_rows, product.n_out});
  if (product.outputs != 0) {
    options.select = RowSelect::outputs;
    options.n_outputs = product.outputs;
  }
  linear(graph.input(DType::f32, {product.n_rows, product.n_cols + product.columns_beyond}),
         graph.weight(weight_of(product.n_out, product.n_cols)), options);
  const NodeView node(graph, graph.nodes()[0]);
  const std::size_t scratch = linear_kernel.workspace(node, caps);
  const StateLayout layout;
  return {linear_kernel.launch(LaunchContext(caps, node, layout, scratch)), scratch};
}

/// The launches of swiglu.
Launches swiglu_launches(std::int64_t n_rows, bool norm, const DeviceCaps& caps) {
  Graph graph;
  swiglu(graph.input(DType::f32, {n_rows, 64}),
         {.norm = norm ? graph.weight(weight_of(1, 64)) : Tensor(),
          .gate = graph.weight(weight_of(96, 64)),
          .up = graph.weight(weight_of(96, 64))},
         1);
  const NodeView node(graph, graph.nodes()[0]);
  const std::size_t scratch = swiglu_kernel.workspace(node, caps);
  const StateLayout layout;
  return {swiglu_kernel.launch(LaunchContext(caps, node, layout, scratch)), scratch};
}

template <class Params>
Params params_of(const Launch& launch) {
  Params params;
  EXPECT_EQ(launch.push_bytes, sizeof(Params));
  std::memcpy(&params, launch.push.data(), sizeof(Params));
  return params;
}

TEST(ProductChoice, DependsOnTheNumberOfRows) {
  const DeviceCaps caps = small_caps();
  for (std::int64_t rows : {1, 2, 4, 8, 16}) {
    const ProductChoice choice = choose_product(caps, rows, Precision::exact);
    EXPECT_EQ(choice.kernel, ProductChoice::Kernel::vec) << rows;
    EXPECT_EQ(choice.rows, rows) << "the weight is read once";
    EXPECT_STRNE(choice.reason, "");
  }
  for (std::int64_t rows : {17, 32, 64, 512}) {
    const ProductChoice choice = choose_product(caps, rows, Precision::exact);
    EXPECT_EQ(choice.kernel, ProductChoice::Kernel::tile) << rows;
    EXPECT_EQ(choice.rows, rows <= 32 ? 32 : 64) << rows;
    EXPECT_STRNE(choice.reason, "");
  }
}

TEST(ProductChoice, FillsWholeSubgroupsWithinTheLimits) {
  for (std::uint32_t size : {4U, 8U, 16U, 32U, 64U, 128U})
    for (std::int64_t rows : {1, 16, 32, 512}) {
      const ProductChoice choice = choose_product(small_caps(size), rows, Precision::exact);
      EXPECT_GE(choice.outs, 1U);
      if (choice.kernel != ProductChoice::Kernel::tile) continue;
      EXPECT_EQ(choice.outs % size, 0U) << "a tile has as many outputs as invocations";
      EXPECT_LE(choice.outs, kMinGroupInvocations);
      // Shared memory holds two slices with 16 columns of float32 each, and the codebook.
      EXPECT_LE((choice.rows + choice.outs) * 16 * 4 + 64, kMinSharedBytes);
    }
}

TEST(ProductChoice, UsesMatrixUnitsOnlyIfTheDeviceMeetsAllNeeds) {
  using Kernel = ProductChoice::Kernel;
  DeviceCaps caps = small_caps();
  caps.matrix_shapes = {{16, 24, 16}, {16, 16, 16}};
  caps.shader_float16 = caps.memory_model = true;
  EXPECT_EQ(choose_product(caps, 17, Precision::fast).kernel, Kernel::matrix);
  EXPECT_EQ(choose_product(caps, 16, Precision::fast).kernel, Kernel::vec);
  EXPECT_EQ(choose_product(caps, 17, Precision::exact).kernel, Kernel::tile)
      << "factors would be rounded";
  const auto without = [&](auto&& change) {
    DeviceCaps less = caps;
    change(less);
    return choose_product(less, 512, Precision::fast).kernel;
  };
  EXPECT_EQ(without([](DeviceCaps& c) { c.matrix_shapes.pop_back(); }), Kernel::tile);
  EXPECT_EQ(without([](DeviceCaps& c) { c.shader_float16 = false; }), Kernel::tile);
  EXPECT_EQ(without([](DeviceCaps& c) { c.memory_model = false; }), Kernel::tile);
  EXPECT_EQ(without([](DeviceCaps& c) { c.min_subgroup_size = 8; }), Kernel::tile)
      << "the size of a subgroup would not be known";
  EXPECT_EQ(without([](DeviceCaps& c) { c.max_group_invocations = 16; }), Kernel::tile);
  EXPECT_EQ(without([](DeviceCaps& c) { c.max_shared_bytes = 8192; }), Kernel::tile);
  EXPECT_EQ(without([](DeviceCaps& c) { c.matrix_tile = 0; }), Kernel::tile);
}

TEST(ProductChoice, TakesFewerRowsAtOnceWithFewRegisters) {
  DeviceCaps caps = small_caps(64);
  caps.few_registers = true;
  for (const std::int64_t rows : {1, 2, 4, 8, 16}) {
    const ProductChoice choice = choose_product(caps, rows, Precision::exact);
    EXPECT_EQ(choice.kernel, ProductChoice::Kernel::vec) << rows;
    EXPECT_EQ(choice.rows, std::min<std::int64_t>(rows, 4));
  }
  constexpr std::uint32_t kCodes = BX_Q4;
  constexpr std::uint32_t kFloats = BX_F16;
  EXPECT_EQ(outs_per_subgroup(caps, 1, {kCodes}), 4U);
  EXPECT_EQ(outs_per_subgroup(caps, 4, {kCodes, BX_FORM_ABSENT}), 2U);
  EXPECT_EQ(outs_per_subgroup(caps, 4, {kFloats, BX_FORM_ABSENT}), 4U);
  EXPECT_EQ(outs_per_subgroup(small_caps(), 4, {kCodes}), 4U);
  const Launches launches = launches_of({.n_rows = 16}, caps);
  ASSERT_EQ(launches.all.size(), 1U);
  EXPECT_EQ(launches.all[0].grid[1].rows_per_group, 4U);
}

TEST(ProductChoice, TakesFewerOutputsIfALaneHasFewRegisters) {
  DeviceCaps caps = small_caps(8);
  caps.lane_registers = 128;
  constexpr std::uint32_t kCodes = BX_Q4;
  constexpr std::uint32_t kFloats = BX_F16;
  EXPECT_EQ(most_rows_at_once(caps, {kFloats, BX_FORM_ABSENT}), 16U);
  EXPECT_EQ(most_rows_at_once(caps, {kCodes, BX_FORM_ABSENT}), 8U);
  EXPECT_EQ(most_rows_at_once(small_caps(), {kCodes}), 16U);
  for (const std::uint32_t rows : {1U, 2U, 8U, 16U}) {
    EXPECT_EQ(outs_per_subgroup(caps, rows, {kFloats}), rows > 8 ? 2U : 4U);
    EXPECT_EQ(outs_per_subgroup(caps, rows, {kCodes}), rows == 1 ? 4U : rows <= 8 ? 2U : 1U);
  }
  EXPECT_EQ(outs_per_subgroup(caps, 4, {kCodes}, /*dots=*/true), 4U);
}

TEST(ProductChoice, MultipliesHalvesOnlyIfProductsMayBeRounded) {
  using Kernel = ProductChoice::Kernel;
  DeviceCaps caps = small_caps();
  caps.float16_tiles = true;
  EXPECT_EQ(choose_product(caps, 512, Precision::fast).kernel, Kernel::half_tile);
  EXPECT_EQ(choose_product(caps, 512, Precision::exact).kernel, Kernel::tile);
  EXPECT_EQ(choose_product(caps, 16, Precision::fast).kernel, Kernel::vec);
  for (const std::int64_t rows : {17, 512}) {
    const ProductChoice choice = choose_product(caps, rows, Precision::fast);
    // Shared memory holds two slices of 32 columns of halves, their scales, and the codebooks.
    EXPECT_LE((choice.rows + choice.outs) * (32 * 2 + 8) + 128, kMinSharedBytes);
  }
}

TEST(ProductLaunches, FewRowsWithNormAndResidualTakeOneLaunch) {
  for (std::int64_t rows : {1, 16}) {
    const Launches launches =
        launches_of({.n_rows = rows, .norm = true, .residual = true}, small_caps());
    ASSERT_EQ(launches.all.size(), 1U);
    EXPECT_EQ(launches.scratch_bytes, 0U);
    EXPECT_EQ(launches.all[0].shader, Shader::product_vec);
    EXPECT_EQ(launches.all[0].grid[1].per, RowSpace::rows);
    EXPECT_EQ(launches.all[0].grid[1].rows_per_group, rows);
  }
}

TEST(ProductLaunches, TheNormOfATiledProductIsASeparateLaunch) {
  const Launches launches = launches_of({.n_rows = 64, .n_cols = 100, .norm = true}, small_caps());
  ASSERT_EQ(launches.all.size(), 2U);
  EXPECT_EQ(launches.scratch_bytes, 64U * 100 * 4);
  EXPECT_EQ(launches.all[0].shader, Shader::rms_norm);
  EXPECT_EQ(launches.all[0].bindings[2].kind, Binding::Kind::scratch);
  EXPECT_EQ(launches.all[1].shader, Shader::product_tile);
  EXPECT_EQ(launches.all[1].bindings[1].kind, Binding::Kind::scratch);
  EXPECT_EQ(launches_of({.n_rows = 64}, small_caps()).all.size(), 1U);
}

TEST(ProductLaunches, ReadTheFirstColumnsOfAWideInput) {
  for (std::int64_t rows : {1, 64}) {
    const Launches launches = launches_of(
        {.n_rows = rows, .n_cols = 48, .norm = true, .bias = true, .columns_beyond = 32},
        small_caps());
    if (rows == 1) {
      const auto params = params_of<ProductVecPush>(launches.all[0]);
      EXPECT_EQ(params.n_cols, 48U);
      EXPECT_EQ(params.x_width, 80U);
      continue;
    }
    EXPECT_EQ(params_of<RmsNormPush>(launches.all[0]).x_width, 80U);
    EXPECT_EQ(params_of<ProductTilePush>(launches.all[1]).x_width, 48U)
        << "the norm has gathered the columns";
  }
}

TEST(ProductLaunches, SwigluOfFewRowsTakesOneLaunch) {
  for (std::int64_t rows : {1, 16}) {
    const Launches launches = swiglu_launches(rows, true, small_caps());
    ASSERT_EQ(launches.all.size(), 1U);
    EXPECT_EQ(launches.scratch_bytes, 0U);
    EXPECT_EQ(launches.all[0].shader, Shader::product_vec);
  }
}

TEST(ProductLaunches, SwigluOfManyRowsComputesItsNormOnce) {
  const Launches launches = swiglu_launches(64, true, small_caps());
  ASSERT_EQ(launches.all.size(), 3U);
  EXPECT_EQ(launches.scratch_bytes, 64U * (64 + 96) * 4);
  EXPECT_EQ(launches.all[0].shader, Shader::rms_norm);
  for (std::size_t i : {1U, 2U}) EXPECT_EQ(launches.all[i].shader, Shader::product_tile);
  // The second product reads what the first has written.
  EXPECT_EQ(launches.all[2].bindings[2].kind, Binding::Kind::scratch);
  EXPECT_EQ(launches.all[2].bindings[2].offset_bytes, launches.all[1].bindings[kY].offset_bytes);
  EXPECT_EQ(swiglu_launches(64, false, small_caps()).all.size(), 2U);
}

TEST(ProductLaunches, SwigluUsesMatrixUnits) {
  DeviceCaps caps = small_caps();
  caps.matrix_shapes = {{16, 16, 16}};
  caps.shader_float16 = caps.memory_model = true;
  Graph graph;
  swiglu(graph.input(DType::f32, {64, 64}),
         {.gate = graph.weight(weight_of(96, 64)), .up = graph.weight(weight_of(96, 64))}, 0);
  const NodeView node(graph, graph.nodes()[0]);
  const StateLayout layout;
  LaunchContext context(caps, node, layout, swiglu_kernel.workspace(node, caps));
  context.precision = Precision::fast;
  for (const Launch& launch : swiglu_kernel.launch(context))
    EXPECT_EQ(launch.shader, Shader::product_matrix);
}

TEST(ProductLaunches, OnlyTheRowsOfOutputsAreComputed) {
  const Launches one = launches_of({.n_rows = 512, .outputs = 1}, small_caps());
  ASSERT_EQ(one.all.size(), 1U);
  EXPECT_EQ(one.all[0].shader, Shader::product_vec) << "only one row is computed";
  EXPECT_EQ(one.all[0].grid[1].per, RowSpace::outputs);
  const Launches many = launches_of({.n_rows = 512, .norm = true, .outputs = 32}, small_caps());
  ASSERT_EQ(many.all.size(), 2U);
  for (const Launch& launch : many.all)
    for (const GridAxis& axis : launch.grid) EXPECT_NE(axis.per, RowSpace::rows);
}

/// Expects that the pieces of the result are contiguous, and that each of their bindings is within
/// the limits.
void expect_pieces(const Launches& launches, const Product& product, const DeviceCaps& caps) {
  const std::size_t row_bytes = static_cast<std::size_t>(product.n_out) * 4;
  std::uint32_t next = 0;
  for (const Launch& launch : launches.all) {
    const auto params = params_of<ProductTilePush>(launch);
    EXPECT_EQ(params.first_row, next);
    EXPECT_GT(params.end_row, params.first_row);
    next = params.end_row;
    for (std::size_t binding : {kY - 1, kY}) {
      const Binding& bound = launch.bindings[binding];
      EXPECT_EQ(bound.offset_bytes, params.first_row * row_bytes);
      EXPECT_EQ(bound.offset_bytes % 256, 0U);
      EXPECT_EQ(bound.size_bytes, (params.end_row - params.first_row) * row_bytes);
      EXPECT_LE(bound.size_bytes, caps.max_storage_buffer_bytes);
    }
  }
  EXPECT_EQ(next, product.n_rows);
}

TEST(ProductLaunches, LargeResultsAreBoundInPieces) {
  const DeviceCaps caps = small_caps();
  for (std::int64_t n_out : {200000, 200003, 262144}) {
    SCOPED_TRACE(n_out);
    const Product product{.n_rows = 512, .n_out = n_out, .residual = true};
    const Launches launches = launches_of(product, caps);
    EXPECT_GE(launches.all.size(), 4U);
    expect_pieces(launches, product, caps);
  }
  const Product fits{.n_rows = 512, .n_out = 65536, .residual = true};
  EXPECT_EQ(launches_of(fits, caps).all.size(), 1U) << "exactly 128 MiB";
}

TEST(ProductLaunches, RowsThatCannotBeBoundAreRefused) {
  try {
    launches_of({.n_rows = 64, .n_out = 600001}, small_caps());
    FAIL() << "64 rows take more than 128 MiB, and no fewer rows end at a multiple of 256 bytes";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::unsupported);
  }
}

TEST(ProductLaunches, ManyOutputsTakeSeveralGrids) {
  const DeviceCaps caps = small_caps(128);  // a workgroup computes four outputs
  const Launches launches = launches_of({.n_out = 600001}, caps);
  ASSERT_EQ(launches.all.size(), 3U);
  std::uint32_t next = 0;
  for (const Launch& launch : launches.all) {
    const auto params = params_of<ProductVecPush>(launch);
    EXPECT_EQ(params.first_out, next);
    next = params.end_out;
    EXPECT_LE(launch.grid[0].count, caps.max_group_count[0]);
    EXPECT_GE(launch.grid[0].count * 4, params.end_out - params.first_out);
  }
  EXPECT_EQ(next, 600001U);
}

}  // namespace
}  // namespace bitaxon::vulkan
