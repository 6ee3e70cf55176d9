// Tests that a recording has all the barriers that it needs, and no others. With all barriers,
// synchronization validation must report nothing. If any barrier is left out, it must report a
// hazard.
#include <gtest/gtest.h>

#include "bitaxon/model.h"
#include "support/small_models.h"
#include "vulkan_tests/layers.h"
#include "vulkan_tests/test_device.h"

namespace bitaxon::test {
namespace {

struct Watched {
  int n_barriers = 0;
  std::vector<std::string> messages;
};

/// Runs two steps of `n_rows` rows through one layer of each kind. Each step samples a token.
/// `without_barrier` is the number of the barrier to leave out, or -1.
Watched watch(std::size_t n_rows, int without_barrier) {
  vulkan::Messages messages;
  vulkan::VulkanOptions options = test_options();
  options.messages = &messages;
  options.without_barrier = without_barrier;
  Watched watched;
  {
    const auto backend = vulkan::open_vulkan_backend(options);
    BitAxonConfig config = small_config();
    config.num_layers = 3;
    Model model = Model::random(backend, config.spec(), 1, {});
    State state = model.new_state();
    const auto ids = random_ids(n_rows, config.vocab_size, 1);
    for (int step = 0; step < 2; ++step) {
      const SegmentInput segment{&state, ids, {}};
      model.wait(model.submit({&segment, 1}));
    }
    watched.n_barriers = vulkan::barrier_count(*backend);
  }
  watched.messages = messages.lines;
  return watched;
}

class Synchronization : public testing::TestWithParam<std::size_t> {};

TEST_P(Synchronization, EveryBarrierIsNeededAndNoneIsMissing) {
  const WithLayer layer(kSynchronization);
  const Watched whole = watch(GetParam(), -1);
  EXPECT_EQ(whole.messages, std::vector<std::string>());
  // A launch that reads the results of another launch needs a barrier. Each layer has several such
  // launches.
  ASSERT_GE(whole.n_barriers, 12);
  // Barrier 0 separates submissions. layers_test.cpp tests this barrier.
  for (int barrier = 1; barrier < whole.n_barriers; ++barrier) {
    const Watched watched = watch(GetParam(), barrier);
    EXPECT_EQ(watched.n_barriers, whole.n_barriers);
    EXPECT_TRUE(any_holds(watched.messages, "SYNC-HAZARD"))
        << "barrier " << barrier << " of " << whole.n_barriers;
  }
}

INSTANTIATE_TEST_SUITE_P(Decode, Synchronization, testing::Values(1));
INSTANTIATE_TEST_SUITE_P(ExhaustivePrefill, Synchronization, testing::Values(40));

}  // namespace
}  // namespace bitaxon::test
