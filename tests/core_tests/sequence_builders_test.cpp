// Checks that the builders of ops of sequences, and of their gradients, refuse invalid arguments.
#include <gtest/gtest.h>

#include "bitaxon/training_ops.h"
#include "core_tests/op_builders.h"

namespace bitaxon::test {
namespace {

TEST_F(OpBuilders, SsmConvRefusesInvalidArguments) {
  const Tensor taps = weight({1, 6, 3});
  const Tensor bias = weight({1, 1, 6});
  const auto [u, z] = ssm_conv(rows(12), taps, bias, state(tail_));
  EXPECT_EQ(u.shape(), (Shape{4, 6}));
  EXPECT_EQ(z.shape(), (Shape{4, 6}));
  EXPECT_NO_THROW(ssm_conv(rows(12), taps, {}, state(tail_)));
  expect_refused([&] { ssm_conv(rows(11), taps, bias, state(tail_)); }, "ssm_conv", "vz",
                 "an activation F32 [1..512, 12]", "F32 [4, 11]");
  expect_refused(
      [&] {
        ssm_conv(rows(12), weight({1, 6, 4}), bias, state(tail_));
      },
      "ssm_conv", "tail", "a state F32 [3, 6]", "F32 [2, 6]");
  expect_refused(
      [&] {
        ssm_conv(rows(12), taps, weight({1, 1, 5}), state(tail_));
      },
      "ssm_conv", "conv_bias", "a weight [1, 1, 6]", "[1, 1, 5]");
  expect_refused(
      [&] {
        ssm_conv(rows(12), weight({2, 6, 3}), {}, state(tail_));
      },
      "ssm_conv", "conv_weight", "a weight [1, 6, 3]", "[2, 6, 3]");
}

TEST_F(OpBuilders, SsmConvBackwardRefusesInvalidArguments) {
  const Tensor taps = weight({1, 6, 3});
  const auto with = [&](const Tensor& g_u, const Tensor& g_z, const Tensor& carry) {
    return
        [=, this] { return ssm_conv_backward(rows(12), taps, {}, state(tail_), g_u, g_z, carry); };
  };
  EXPECT_EQ(with(rows(6), rows(6), state(h_))().shape(), (Shape{4, 12}));
  expect_refused(with({}, rows(6), state(h_)), "ssm_conv_backward", "g_u", "a tensor",
                 "an empty handle");
  expect_refused(with(rows(6), rows(7), state(h_)), "ssm_conv_backward", "g_z",
                 "an activation F32 [4, 6]", "F32 [4, 7]");
  expect_refused(with(rows(6), rows(6), state(seen_)), "ssm_conv_backward", "carry",
                 "a state F32 [2, 6]", "U32 [2]");
}

TEST_F(OpBuilders, SelectiveScanBackwardRefusesInvalidArguments) {
  const SelectiveScanWeights weights{.dt_weight = weight({1, 6, 1}),
                                     .dt_bias = weight({1, 1, 6}),
                                     .a_log = weight({1, 6, 2}),
                                     .skip = weight({1, 1, 6})};
  const auto with = [&](const Tensor& params, const Tensor& g_y, const Tensor& carry) {
    return [=, this] {
      return selective_scan_backward(rows(6), params, {}, rows(6), weights, {}, state(h_), g_y,
                                     carry);
    };
  };
  const SelectiveScanGradients g = with(rows(5), rows(6), state(tail_))();
  EXPECT_EQ(g.u.shape(), (Shape{4, 6}));
  EXPECT_EQ(g.params.shape(), (Shape{4, 5}));
  EXPECT_EQ(g.z.shape(), (Shape{4, 6}));
  EXPECT_TRUE(g.dt.empty());
  expect_refused(with(rows(4), rows(6), state(tail_)), "selective_scan_backward", "params",
                 "an activation F32 [4, 5]", "F32 [4, 4]");
  expect_refused(with(rows(5), rows(5), state(tail_)), "selective_scan_backward", "g_y",
                 "an activation F32 [4, 6]", "F32 [4, 5]");
  expect_refused(with(rows(5), rows(6), state(seen_)), "selective_scan_backward", "carry",
                 "a state F32 [2, 6]", "U32 [2]");
}

}  // namespace
}  // namespace bitaxon::test
