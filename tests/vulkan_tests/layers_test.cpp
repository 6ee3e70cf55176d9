// Checks that the layers that the environment enables are present and detect errors. Without this
// test, nobody would notice if the layers were missing or misspelled.
#include "vulkan_tests/layers.h"

#include <gtest/gtest.h>

#include "bitaxon/ops.h"
#include "core/plan.h"
#include "core/state_layout.h"
#include "core/step.h"
#include "formats/weight_format.h"
#include "vulkan_tests/barriers.h"
#include "vulkan_tests/test_device.h"

namespace bitaxon::test {
namespace {

constexpr std::int64_t kCols = 64;

/// Runs two steps and returns the messages of the layers. Each step computes two products. The
/// second product reads the result of the first product. The weight of the second product claims to
/// have `claimed_rows` rows. The barrier `without_barrier` of each step is left out.
std::vector<std::string> provoke(std::int64_t claimed_rows, int without_barrier = -1) {
  vulkan::Messages messages;
  vulkan::VulkanOptions options = test_options();
  options.messages = &messages;
  options.hook = hook_barriers;
  const BarrierWatch watch(messages, [&](int number) { return number == without_barrier; });
  {
    const auto backend = vulkan::open_vulkan_backend(options);
    const std::vector<float> values(kCols * kCols, 1);
    const auto packed = backend->pack({.name = "weight", .rows = kCols, .cols = kCols},
                                      {.data = std::as_bytes(std::span(values))});
    auto claimed = std::make_shared<Weight>(*packed);
    claimed->shape = {1, claimed_rows, kCols};
    const auto graph = std::make_shared<Graph>();
    const Tensor middle =
        linear(graph->input(DType::f32, {1, kCols}, RowSpace::rows), graph->weight(packed));
    graph->mark_output(linear(middle, graph->weight(claimed)));
    const auto plan = schedule(graph, *backend->description());
    const Buffer arena = backend->allocate(plan->arena_bytes, BufferUse::activations);
    const Executable executable = backend->compile(
        plan, {.arena = arena, .state = {}, .state_layout = std::make_shared<StateLayout>()});
    StepBuffer step;
    step.n_rows = step.n_segments = step.segments[0].n_rows = 1;
    // Nothing but barriers orders the two steps.
    backend->submit(executable, step);
    backend->wait(backend->submit(executable, step));
  }
  std::erase_if(messages.lines, is_about_the_layer);
  return messages.lines;
}

TEST(Layers, ReportNothingForACorrectProgram) {
  EXPECT_EQ(provoke(kCols), std::vector<std::string>());
}

TEST(Layers, DetectAMissingBarrierIfEnabled) {
  EXPECT_EQ(any_holds(provoke(kCols, 1), "SYNC-HAZARD-READ-AFTER-WRITE"),
            environment_enables("SYNCHRONIZATION_VALIDATION_EXT"));
}

TEST(Layers, DetectAMissingBarrierBetweenSubmissionsIfEnabled) {
  EXPECT_EQ(any_holds(provoke(kCols, 0), "SYNC-HAZARD"),
            environment_enables("SYNCHRONIZATION_VALIDATION_QUEUE_SUBMIT"));
}

TEST(Layers, DetectAReadBeyondAWeightIfEnabled) {
  EXPECT_EQ(any_holds(provoke(4 * kCols), "address out of bounds"),
            environment_enables("GPU_ASSISTED"));
}

}  // namespace
}  // namespace bitaxon::test
