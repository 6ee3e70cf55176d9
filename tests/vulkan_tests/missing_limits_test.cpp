// Tests with devices that lack a feature, have small limits or have little memory.
#include <gtest/gtest.h>

#include <memory>
#include <utility>

#include "core/plan.h"
#include "failing_calls.h"
#include "formats/weight_format.h"
#include "model_life.h"
#include "support/errors.h"
#include "vulkan/device/device_caps.h"
#include "vulkan/device/floor.h"
#include "vulkan_tests/test_device.h"

namespace bitaxon::vulkan::test {
namespace {

using bitaxon::test::expect_error;
using Take = void (*)(DeviceCaps& caps);

std::shared_ptr<Backend> open_limited(Take take, FunctionsHook hook = nullptr) {
  VulkanOptions options = bitaxon::test::test_options();
  options.limit_caps = take;
  options.hook = hook;
  return open_vulkan_backend(options);
}

TEST(MissingLimits, RefusesADeviceBelowTheFloor) {
  const Take takes[] = {
      [](DeviceCaps& caps) { caps.buffer_device_address = false; },
      [](DeviceCaps& caps) { caps.timeline_semaphore = false; },
      [](DeviceCaps& caps) { caps.synchronization2 = false; },
      [](DeviceCaps& caps) { caps.scalar_block_layout = false; },
      [](DeviceCaps& caps) { caps.compute_queue_family = -1; },
      [](DeviceCaps& caps) { caps.api_version = VK_API_VERSION_1_1; },
      [](DeviceCaps& caps) { caps.subgroup_operations = VK_SUBGROUP_FEATURE_BASIC_BIT; },
      [](DeviceCaps& caps) { caps.max_storage_buffers = 8; },
      [](DeviceCaps& caps) { caps.max_push_bytes = 64; },
      [](DeviceCaps& caps) { caps.max_group_invocations = 64; },
      [](DeviceCaps& caps) { caps.max_shared_bytes = 4096; },
  };
  DeviceCaps whole = device_caps(bitaxon::test::vulkan_backend());
  ASSERT_TRUE(missing_of(whole).empty());
  for (const Take take : takes) {
    DeviceCaps caps = whole;
    take(caps);
    ASSERT_FALSE(missing_of(caps).empty());
    expect_error([&] { open_limited(take); }, ErrorKind::unsupported,
                 {whole.name, " lacks ", missing_of(caps)[0], "update its driver"});
  }
}

TEST(LengthyMissingLimits, ComputesTheSameWithoutOptionalFeatures) {
  const Results expected = Life(bitaxon::test::vulkan_backend()).run();
  const auto backend = open_limited([](DeviceCaps& caps) {
    caps.subgroup_size_control = caps.full_subgroups = false;
    caps.timestamps = caps.memory_budget = false;
    caps.shader_float16 = caps.storage_16bit = caps.memory_model = false;
    caps.matrix_shapes.clear();
  });
  const Results results = Life(*backend).run();
  for (std::size_t i = 0; i < expected.logits.size(); ++i)
    ASSERT_NEAR(results.logits[i], expected.logits[i], 1e-4) << i;
}

/// Compiles the product of a 256 x 64 matrix and a 64 x 256 matrix.
void compile_product(Backend& backend) {
  std::vector<float> numbers(256 * 64);
  WeightDesc desc;
  desc.name = "w";
  desc.rows = 256;
  desc.cols = 64;
  auto graph = std::make_shared<Graph>();
  graph->set_label("here");
  const auto weight = backend.pack(desc, {.data = std::as_bytes(std::span(numbers))});
  graph->mark_output(linear(graph->input(DType::f32, {256, 64}), graph->weight(weight)));
  const auto plan = schedule(graph, *backend.description());
  backend.compile(plan, {.arena = backend.allocate(plan->arena_bytes, BufferUse::activations),
                         .state = {},
                         .state_layout = std::make_shared<const StateLayout>()});
}

TEST(MissingLimits, RefusesAResultTooLargeForABinding) {
  const auto backend =
      open_limited([](DeviceCaps& caps) { caps.max_storage_buffer_bytes = 16384; });
  expect_error(
      [&] { compile_product(*backend); }, ErrorKind::unsupported,
      {"linear [here]", "65536 bytes", "at most 16384 (maxStorageBufferRange)", "another device"});
}

TEST(MissingLimits, RefusesAGridWithTooManyWorkgroups) {
  const auto backend = open_limited([](DeviceCaps& caps) { caps.max_group_count = {1, 1, 1}; });
  expect_error([&] { compile_product(*backend); }, ErrorKind::unsupported,
               {"linear [here]", "at most 1 (maxComputeWorkGroupCount)", "another device"});
}

TEST(MissingLimits, RefusesAnAllocationTooLargeForABuffer) {
  const auto backend = open_limited([](DeviceCaps& caps) { caps.max_buffer_bytes = 65536; });
  expect_error([&] { backend->allocate(65537, BufferUse::state); }, ErrorKind::device,
               {"state, 64.00 KiB", "at most 64.00 KiB", "try a smaller model"});
  EXPECT_NO_THROW(backend->allocate(65536, BufferUse::state));
}

TEST(MissingLimits, RefusesTooManyAllocations) {
  const auto backend = open_limited([](DeviceCaps& caps) { caps.max_allocations = 1; });
  constexpr std::size_t kOwnBlock = std::size_t{40} << 20;
  const Buffer first = backend->allocate(kOwnBlock, BufferUse::state);
  expect_error([&] { backend->allocate(kOwnBlock, BufferUse::state); }, ErrorKind::device,
               {"40.00 MiB for state", "at most 1 allocations", "try a smaller model"});
}

TEST(MissingLimits, ReportsALackOfMemoryWhileLoading) {
  FailingCalls::reset();
  const auto backend = open_limited([](DeviceCaps&) {}, FailingCalls::hook);
  FailingCalls::reset();
  FailingCalls::now().name = "vkAllocateMemory";
  FailingCalls::now().result = VK_ERROR_OUT_OF_DEVICE_MEMORY;
  expect_error([&] { Life life(*backend); }, ErrorKind::device,
               {"vkAllocateMemory(64.00 MiB for embed_tokens.weight, 2.", " KiB; ", " are free, ",
                "VK_ERROR_OUT_OF_DEVICE_MEMORY; try a smaller model or one of 4 bits"});
  EXPECT_NO_THROW(Life(*backend).run());
}

PFN_vkGetSemaphoreCounterValue real_counter = nullptr;
bool lies = false;

VKAPI_ATTR VkResult VKAPI_CALL counter(VkDevice device, VkSemaphore semaphore,
                                       std::uint64_t* value) {
  const VkResult result = real_counter(device, semaphore, value);
  if (lies) *value = UINT64_MAX;
  return result;
}

TEST(MissingLimits, DetectsACounterBeyondTheSubmittedSteps) {
  lies = false;
  // Without matrix units there is no self-test, whose steps would be the first ones.
  const auto backend =
      open_limited([](DeviceCaps& caps) { caps.matrix_shapes.clear(); },
                   [](Functions& functions) {
                     if (functions.vkGetSemaphoreCounterValue == nullptr) return;
                     real_counter = std::exchange(functions.vkGetSemaphoreCounterValue, counter);
                   });
  Life life(*backend);
  lies = true;
  expect_error(
      [&] { life.run(); }, ErrorKind::device,
      {"vkGetSemaphoreCounterValue(steps): VK_ERROR_DEVICE_LOST", "last submitted: step 1: embed"});
}

}  // namespace
}  // namespace bitaxon::vulkan::test
