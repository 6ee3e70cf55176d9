// Tests with tensors that are too large for one binding, and grids that are too large for one
// dispatch.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "cases/errors.h"
#include "cases/op_harness.h"
#include "ops/linear.h"
#include "support/backends.h"
#include "support/borrowed_backend.h"
#include "support/errors.h"
#include "support/small_models.h"
#include "vulkan_tests/test_device.h"

namespace bitaxon::test {
namespace {

std::shared_ptr<Backend> backend_with(std::function<void(vulkan::DeviceCaps&)> limits) {
  vulkan::VulkanOptions options = test_options();
  options.limit_caps = std::move(limits);
  return vulkan::open_vulkan_backend(options);
}

void bind_at_most_64_kib(vulkan::DeviceCaps& caps) { caps.max_storage_buffer_bytes = 65536; }

/// A case that multiplies n_rows rows of 128 columns by a weight [1, n_out, 128] and adds a
/// residual.
OpCase product(std::uint32_t n_rows, std::int64_t n_out, Format format = Format::f32) {
  const Tolerance tolerance{0, "float32 sums of 128 products, in any order"};
  OpCase product{fmt::format("limits_{}_{}", n_rows, n_out), kEdge, tolerance, {}};
  product.build = [=](OpProblem& problem) {
    problem.set_step(one_segment(n_rows, 0), n_rows);
    problem.add_input(128, 1);
    problem.add_input(n_out, 1);
    problem.add_weight(format, {1, n_out, 128}, 0.09);
    problem.errors = [](const OpProblem& p) {
      return linear_errors(p, normed_rows(p, 0, {}, 0), 0, 1);
    };
    problem.record = [](const OpHandles& handles) {
      LinearOptions options;
      options.residual = handles.inputs[1];
      return std::vector{linear(handles.inputs[0], handles.weights[0], options)};
    };
  };
  return product;
}

void expect_agreement(Backend& backend, const OpCase& op_case) {
  SCOPED_TRACE(op_case.label);
  const OpProblem problem = problem_of("linear", op_case);
  const OpRun run = run_op(backend, problem);
  EXPECT_EQ(run.violations, std::vector<std::string>());
  EXPECT_EQ(differences(run, expected_run(reference_backend(), problem), op_case.tolerance),
            std::vector<std::string>());
}

TEST(Limits, AcceptsAWeightLargerThanABinding) {
  const auto backend = backend_with(bind_at_most_64_kib);
  for (const Format format : kEveryFormat) expect_agreement(*backend, product(1, 4000, format));
  EXPECT_EQ(backend->last_step().dispatches, 1U) << "weights are not bound";
}

TEST(Limits, AResultLargerThanABindingTakesSeveralLaunches) {
  const auto backend = backend_with(bind_at_most_64_kib);
  for (const std::uint32_t n_rows : {8U, 40U, 67U}) {
    expect_agreement(*backend, product(n_rows, 4000));  // one binding holds 4 rows of 16000 bytes
    EXPECT_EQ(backend->last_step().dispatches, (n_rows + 3) / 4);
  }
}

TEST(Limits, MoreWorkgroupsThanAGridAllowsTakeSeveralLaunches) {
  const auto backend = backend_with([](vulkan::DeviceCaps& caps) { caps.max_group_count[0] = 3; });
  expect_agreement(*backend, product(1, 4000));
  EXPECT_GT(backend->last_step().dispatches, 1U);
  expect_agreement(*backend, product(40, 1000));
  EXPECT_GT(backend->last_step().dispatches, 1U);
}

TEST(Limits, RefusesARowLargerThanABinding) {
  const auto backend = backend_with(bind_at_most_64_kib);
  expect_error([&] { run_op(*backend, problem_of("linear", product(2, 20'000))); },
               ErrorKind::unsupported, {"vulkan"});
}

TEST(Limits, NamesAStateTensorLargerThanABinding) {
  const auto backend =
      backend_with([](vulkan::DeviceCaps& caps) { caps.max_storage_buffer_bytes = 128 << 10; });
  BitAxonConfig config = small_config();
  config.swa_window_size = 4096;
  expect_error([&] { Model::random(backend, config.spec(), 1, {.context = 4096}); },
               ErrorKind::device, {"layer_2.keys takes", "the largest binding is of 128.00 KiB"});
}

/// No shader reads the logits of all rows, so these logits may be larger than a binding.
TEST(Limits, AcceptsLogitsLargerThanABinding) {
  BitAxonConfig config = small_config();
  config.vocab_size = 3000;
  constexpr StepOutput kLogits = StepOutput::all_logits;
  const auto ids = random_ids(7, config.vocab_size, 1);
  const auto logits_on = [&](Backend& backend) {
    Model model = Model::random(borrowed(backend), config.spec(), 1, {.largest_step = {kLogits}});
    State state = model.new_state();
    model.feed(state, ids, kLogits);
    std::vector<float> logits(ids.size() * static_cast<std::size_t>(config.vocab_size));
    model.read_logits(logits);
    return logits;
  };
  const auto backend = backend_with([](vulkan::DeviceCaps& caps) {
    caps.max_storage_buffer_bytes = 512 << 10;  // enough for all other activations of 512 rows
  });
  EXPECT_EQ(logits_on(*backend), logits_on(vulkan_backend()));
}

/// Every launch that computes is a separate submission here, as on a slow device.
TEST(Limits, AStepInManySubmissionsGivesTheSameTokens) {
  const auto tokens_on = [&](std::int64_t max_flops, std::size_t& submissions) {
    vulkan::VulkanOptions options = test_options();
    options.max_flops_per_submission = max_flops;
    const auto backend = vulkan::open_vulkan_backend(options);
    Model model = Model::random(backend, small_config().spec(), 1, {.run_ahead = 2});
    State state = model.new_state();
    const auto ids = random_ids(40, small_config().vocab_size, 1);
    std::vector<std::int32_t> tokens;
    model.feed(state, ids, StepOutput::token);
    for (int i = 0; i < 8; ++i) {
      const SegmentInput next{&state, {}, {.seed = 7}};
      tokens.push_back(model.wait(model.submit({&next, 1})).tokens[0]);
    }
    submissions = backend->last_step().submissions;
    return tokens;
  };
  std::size_t n_whole = 0, n_cut = 0;
  EXPECT_EQ(tokens_on(1, n_cut), tokens_on(100'000'000'000, n_whole));
  EXPECT_EQ(n_whole, 1U);
  EXPECT_GT(n_cut, 10U);
}

TEST(Limits, NamesAGridLargerThanTheDeviceAllows) {
  const auto backend = backend_with([](vulkan::DeviceCaps& caps) {
    caps.max_group_count = {1, 1, 1};
  });
  Model model = Model::random(backend, small_config().spec(), 1, {});
  State state = model.new_state();
  const auto ids = random_ids(40, small_config().vocab_size, 1);
  expect_error([&] { model.feed(state, ids, StepOutput::token); }, ErrorKind::unsupported,
               {"work groups of", "at most 1 (maxComputeWorkGroupCount)"});
}

/// The weight is larger than the real limit of llvmpipe for a binding, which is 128 MiB.
TEST(Limits, AWeightOf160MB) {
  constexpr std::int64_t kRows = 40'000, kCols = 1024;
  const auto value = [](std::int64_t row, std::int64_t col) {
    return static_cast<float>((row * 31 + col * 7) % 257 - 128) / 128;
  };
  std::vector<float> values(static_cast<std::size_t>(kRows * kCols));
  for (std::int64_t i = 0; i < kRows * kCols; ++i)
    values[static_cast<std::size_t>(i)] = value(i / kCols, i % kCols);
  Backend& backend = vulkan_backend();
  const auto graph = std::make_shared<Graph>();
  const Tensor x = graph->input(DType::f32, {1, kCols});
  const Tensor y =
      linear(x, graph->weight(backend.pack({.name = "w", .rows = kRows, .cols = kCols},
                                           {.data = std::as_bytes(std::span(values))})));
  graph->mark_output(y);
  std::vector<float> row(kCols);
  for (std::int64_t c = 0; c < kCols; ++c) row[static_cast<std::size_t>(c)] = value(c, 3);
  const GraphInput input{x, std::as_bytes(std::span(row))};
  StepBuffer step;
  step.n_rows = step.n_segments = step.segments[0].n_rows = 1;
  const GraphRun run =
      run_graph(backend, graph, {&input, 1}, step, {}, std::make_shared<StateLayout>());
  const NormedRow x_row = normed(row, {}, 0);
  for (const std::int64_t o : {0, 1, 20'000, 32'767, 32'768, 32'769, 39'999}) {
    const auto weight_row = std::span(values).subspan(static_cast<std::size_t>(o * kCols), kCols);
    const Rounded expected = product({weight_row}, x_row.x);
    float actual = 0;
    std::memcpy(&actual, run.bytes(y).data() + o * 4, 4);
    // The numbers follow a pattern, so their rounding errors are not independent. Only the
    // worst-case bound applies.
    EXPECT_NEAR(actual, expected.value, expected.worst) << "output " << o;
  }
}

}  // namespace
}  // namespace bitaxon::test
