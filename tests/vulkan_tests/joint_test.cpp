// Tests kernels that run two nodes together: the results are those of the nodes one by one.
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>

#include "cases/op_harness.h"
#include "support/backends.h"
#include "vulkan_tests/test_device.h"

namespace bitaxon::test {
namespace {

struct Sizes {
  std::int64_t d_model = 64, d_inner = 96, n_params = 33;
  Format format = Format::f32;  ///< of the second product
  std::uint32_t n_rows = 1;
  std::int64_t d_conv = 4;
};

/// A sequence of one row, and one of the other rows.
std::vector<CaseSegment> segments_of(std::uint32_t n_rows) {
  std::vector<CaseSegment> segments = {{.position = 6}};
  if (n_rows > 1) segments.push_back({.slot = 1, .n_rows = n_rows - 1, .position = 0});
  return segments;
}
/// The bucket of a step.
std::int64_t capacity_of(std::uint32_t n_rows) { return std::bit_ceil(n_rows); }

/// ssm_in, and the product with u that follows.
OpProblem ssm_in_and_params(const Sizes& sizes) {
  OpProblem p("ssm_in and params");
  p.set_step(segments_of(sizes.n_rows), capacity_of(sizes.n_rows));
  const auto x = p.add_input(sizes.d_model, 1);
  const auto norm = p.add_weight(Format::f32, {1, 1, sizes.d_model}, 0.3, 1);
  const auto in_proj = p.add_weight(Format::f16, {1, 2 * sizes.d_inner, sizes.d_model}, 0.2);
  const auto taps = p.add_weight(Format::f32, {1, sizes.d_inner, sizes.d_conv}, 0.5);
  const auto bias = p.add_weight(Format::f32, {1, 1, sizes.d_inner}, 0.3);
  const auto params = p.add_weight(sizes.format, {1, sizes.n_params, sizes.d_inner}, 0.1);
  const auto tail = p.add_state(DType::f32, {sizes.d_conv - 1, sizes.d_inner});
  p.fill_state(tail, 1);
  p.record = [=](const OpHandles& h) -> std::vector<Tensor> {
    const auto [u, z] = ssm_in(h.inputs[x],
                               {.norm = h.weights[norm],
                                .in_proj = h.weights[in_proj],
                                .in_bias = {},
                                .conv_weight = h.weights[taps],
                                .conv_bias = h.weights[bias]},
                               1e-6F, h.states[tail]);
    return {u, z, linear(u, h.weights[params])};
  };
  return p;
}

/// The number of joined nodes of the problem's plan.
std::ptrdiff_t n_joined(const OpProblem& problem) {
  const auto plan = schedule(graph_of(vulkan_backend(), problem), *vulkan_backend().description());
  return std::ranges::count(plan->joined, 1);
}

TEST(JointKernels, SsmInComputesTheProductThatFollows) {
  for (const Sizes& sizes :
       {Sizes{}, Sizes{.d_inner = 13, .n_params = 3}, Sizes{.format = Format::f16, .d_conv = 1},
        Sizes{.d_inner = 2112, .n_params = 200, .format = Format::q4_g64},
        Sizes{.d_inner = 5120, .n_params = 7, .format = Format::nf4_nested},
        Sizes{.d_inner = 1024, .format = Format::q8_g64}, Sizes{.n_rows = 2},
        Sizes{.d_inner = 2112, .n_params = 40, .format = Format::f16, .n_rows = 16},
        Sizes{.d_inner = 130, .n_rows = 5}}) {
    SCOPED_TRACE(sizes.d_inner);
    const OpProblem problem = ssm_in_and_params(sizes);
    EXPECT_EQ(n_joined(problem), 1);
    const OpRun expected = run_op(reference_backend(), problem);
    for (const Precision precision : {Precision::exact, Precision::fast}) {
      const OpRun run = run_op(vulkan_backend(), problem, precision);
      EXPECT_TRUE(run.violations.empty());
      const Tolerance tolerance{2e-5, "sums of thousands of products"};
      for (const std::string& difference : differences(run, expected, tolerance))
        ADD_FAILURE() << difference;
    }
  }
}

struct RouteSizes {
  std::int64_t d_model = 64, n_cols = 96, n_experts = 8;
  std::int64_t top_k = 2;
  Format format = Format::f16;  ///< of the product
  Format gates = Format::f32;
  bool shared = true, norm = true, bias = false, residual = true, renormalizes = false;
  std::uint32_t n_rows = 1;
};

/// A product, and the router that reads it.
OpProblem product_and_route(const RouteSizes& sizes) {
  OpProblem p("product and route");
  p.set_step(segments_of(sizes.n_rows), capacity_of(sizes.n_rows));
  const auto x = p.add_input(sizes.n_cols, 1);
  const auto residual = p.add_input(sizes.d_model, 1);
  const auto weight = p.add_weight(sizes.format, {1, sizes.d_model, sizes.n_cols}, 0.1);
  const auto bias = p.add_weight(Format::f32, {1, 1, sizes.d_model}, 0.3);
  const auto norm = p.add_weight(Format::f32, {1, 1, sizes.d_model}, 0.3, 1);
  const auto gate = p.add_weight(sizes.gates, {1, sizes.n_experts, sizes.d_model}, 0.2);
  const auto shared = p.add_weight(sizes.gates, {1, 1, sizes.d_model}, 0.2);
  p.record = [=](const OpHandles& h) -> std::vector<Tensor> {
    const Tensor y = linear(h.inputs[x], h.weights[weight],
                            {.bias = sizes.bias ? h.weights[bias] : Tensor(),
                             .residual = sizes.residual ? h.inputs[residual] : Tensor()});
    const MoeRouteResult route =
        moe_route(y, sizes.norm ? h.weights[norm] : Tensor(), 1e-6F, h.weights[gate],
                  sizes.shared ? h.weights[shared] : Tensor(), sizes.top_k, sizes.renormalizes);
    return {y, route.normed, route.experts, route.gates};
  };
  return p;
}

TEST(JointKernels, AProductRoutesItsRow) {
  for (const RouteSizes& sizes :
       {RouteSizes{}, RouteSizes{.d_model = 13, .n_cols = 7, .top_k = 1, .shared = false},
        RouteSizes{.d_model = 2560, .n_cols = 128, .format = Format::q4_g64, .gates = Format::f16},
        RouteSizes{.d_model = 1088,
        .n_experts = 128,
        .top_k = 8,
        .gates = Format::q8_g64,
        .shared = false,
        .bias = true,
        .renormalizes = true},
        RouteSizes{.d_model = 512, .n_experts = 512, .norm = false, .residual = false}}) {
    SCOPED_TRACE(sizes.d_model);
    const OpProblem problem = product_and_route(sizes);
    EXPECT_EQ(n_joined(problem), 1);
    const OpRun expected = run_op(reference_backend(), problem);
    for (int i = 0; i < 2; ++i) {
      const OpRun run = run_op(vulkan_backend(), problem);
      EXPECT_TRUE(run.violations.empty());
      const Tolerance tolerance{2e-5, "sums of thousands of products"};
      for (const std::string& difference : differences(run, expected, tolerance))
        ADD_FAILURE() << difference;
    }
  }
}

struct ScanSizes {
  std::int64_t d_inner = 96, d_state = 16, dt_rank = 32;
  Format format = Format::f16;  ///< of the product
  bool norms = true;
  std::uint32_t n_rows = 1;
};

/// The product that gives the time steps, and the scan that reads them.
OpProblem product_and_scan(const ScanSizes& sizes) {
  OpProblem p("product and scan");
  p.set_step(segments_of(sizes.n_rows), capacity_of(sizes.n_rows));
  const std::int64_t e = sizes.d_inner;
  const auto u = p.add_input(e, 1);
  const auto z = p.add_input(e, 1);
  const auto params = p.add_input(sizes.dt_rank + 2 * sizes.d_state, 1);
  const auto dt_norm = p.add_weight(Format::f32, {1, 1, sizes.dt_rank}, 0.3, 1);
  const auto product = p.add_weight(sizes.format, {1, e, sizes.dt_rank}, 0.2);
  const auto dt_bias = p.add_weight(Format::f32, {1, 1, e}, 0.5, -1);
  const auto a_log = p.add_weight(Format::f32, {1, e, sizes.d_state}, 0.5, 1);
  const auto skip = p.add_weight(Format::f32, {1, 1, e}, 0.5);
  const auto b_norm = p.add_weight(Format::f32, {1, 1, sizes.d_state}, 0.3, 1);
  const auto c_norm = p.add_weight(Format::f32, {1, 1, sizes.d_state}, 0.3, 1);
  const auto h = p.add_state(DType::f32, {sizes.d_state, e});
  p.fill_state(h, 1);
  p.record = [=](const OpHandles& op) -> std::vector<Tensor> {
    const auto norm = [&](std::size_t weight) {
      return sizes.norms ? op.weights[weight] : Tensor();
    };
    const Tensor dt =
        linear(op.inputs[params], op.weights[product], {.norm = norm(dt_norm), .eps = 1e-6F});
    return {selective_scan(op.inputs[u], op.inputs[params], dt, op.inputs[z],
                           {.dt_weight = {},
                            .dt_bias = op.weights[dt_bias],
                            .a_log = op.weights[a_log],
                            .skip = op.weights[skip],
                            .b_norm = norm(b_norm),
                            .c_norm = norm(c_norm)},
                           {.eps = 1e-6F}, op.states[h]),
            dt};
  };
  return p;
}

TEST(JointKernels, AScanComputesItsTimeSteps) {
  for (const ScanSizes& sizes :
       {ScanSizes{}, ScanSizes{.d_inner = 13, .d_state = 5, .dt_rank = 3, .norms = false},
        ScanSizes{.d_inner = 300, .dt_rank = 160, .format = Format::q4_g32, .n_rows = 4},
        ScanSizes{.dt_rank = 64, .format = Format::nf4_nested, .n_rows = 3}}) {
    SCOPED_TRACE(sizes.d_inner);
    const OpProblem problem = product_and_scan(sizes);
    EXPECT_EQ(n_joined(problem), 1);
    const OpRun expected = run_op(reference_backend(), problem);
    const OpRun run = run_op(vulkan_backend(), problem);
    EXPECT_TRUE(run.violations.empty());
    const Tolerance tolerance{2e-5, "sums of hundreds of products, and a scan"};
    for (const std::string& difference : differences(run, expected, tolerance))
      ADD_FAILURE() << difference;
  }
}

TEST(JointKernels, ManyRowsRunOneByOne) {
  EXPECT_EQ(n_joined(product_and_scan({.n_rows = 5})), 0);
  EXPECT_EQ(n_joined(product_and_route({.n_rows = 2})), 0);
  EXPECT_EQ(n_joined(ssm_in_and_params({.n_rows = 40})), 0);
}

}  // namespace
}  // namespace bitaxon::test
