// Tests that a decode step does not allocate memory. The test is a separate program, because it
// counts all allocations of the process.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <new>
#include <tuple>

#include "support/small_models.h"

namespace {
std::atomic<bool> counting{false};
std::atomic<std::uint64_t> n_allocations{0};

void count() {
  if (counting.load(std::memory_order_relaxed))
    n_allocations.fetch_add(1, std::memory_order_relaxed);
}
}  // namespace

// This program replaces malloc and the related functions with functions that count their calls.
// Operator new calls malloc, so its allocations also count. The functions __libc_* are glibc's own
// versions.
extern "C" {
void* __libc_malloc(std::size_t size);
void* __libc_calloc(std::size_t n, std::size_t size);
void* __libc_realloc(void* memory, std::size_t size);
void* __libc_memalign(std::size_t alignment, std::size_t size);

void* malloc(std::size_t size) {
  count();
  return __libc_malloc(size);
}
void* calloc(std::size_t n, std::size_t size) {
  count();
  return __libc_calloc(n, size);
}
void* realloc(void* memory, std::size_t size) {
  count();
  return __libc_realloc(memory, size);
}
void* memalign(std::size_t alignment, std::size_t size) {
  count();
  return __libc_memalign(alignment, size);
}
void* aligned_alloc(std::size_t alignment, std::size_t size) {
  count();
  return __libc_memalign(alignment, size);
}
int posix_memalign(void** memory, std::size_t alignment, std::size_t size) {
  count();
  *memory = __libc_memalign(alignment, size);
  return *memory == nullptr ? 12 : 0;  // 12 is ENOMEM
}
}

namespace bitaxon::test {
namespace {

/// The number of allocations on all threads while `act` runs.
template <class Act>
std::uint64_t allocations(const Act& act) {
  n_allocations = 0;
  counting = true;
  act();
  counting = false;
  return n_allocations;
}

/// Checks that the replaced functions count allocations.
TEST(Allocations, AreCounted) {
  volatile std::size_t size = 100;
  // The compiler may remove a new-expression, but not a direct call of operator new.
  EXPECT_GE(allocations([&] { ::operator delete(::operator new(size)); }), 1u);
  EXPECT_GE(allocations([&] { std::free(std::malloc(size)); }), 1u);
  EXPECT_GE(allocations([&] { std::free(std::aligned_alloc(64, 128)); }), 1u);
}

class DecodingAllocations : public testing::TestWithParam<std::tuple<const char*, int, int>> {};

TEST_P(DecodingAllocations, DecodingAllocatesNoMemory) {
  const char* device = std::get<0>(GetParam());
  const int n_threads = std::get<1>(GetParam());
  const int run_ahead = std::get<2>(GetParam());
  BitAxonConfig config = small_config();
  config.hidden_dim = 96;  // so large that the threads share the loops
  config.vocab_size = 1500;
  LoadOptions options;
  options.run_ahead = run_ahead;
  OpenModel open = open_random(device, n_threads, config, options);
  State state = open.model.new_state();
  const SamplerParams sampler{.temperature = 0.9, .min_p = 0.01, .repetition_penalty = 1.1};
  // As many steps as possible are in flight. Each round waits for the oldest step and then submits
  // another.
  Ticket tickets[9];
  std::size_t submitted = 0;
  std::int64_t sum = 0;
  const auto submit = [&] {
    const SegmentInput feed_back{&state, {}, sampler};
    tickets[submitted++ % 9] = open.model.submit({&feed_back, 1});
  };
  const auto wait = [&] {
    const auto oldest = submitted - static_cast<std::size_t>(run_ahead) - 1;
    sum += open.model.wait(tickets[oldest % 9]).tokens[0];
  };
  tickets[submitted++] =
      open.model.feed(state, random_ids(20, config.vocab_size, 1), StepOutput::token, sampler);
  while (submitted < static_cast<std::size_t>(run_ahead) + 1) submit();
  const auto decode = [&](int n_tokens) {
    for (int i = 0; i < n_tokens; ++i) {
      wait();
      submit();
    }
  };
  decode(12);  // uses every entry of the ring buffer of steps, and every version of the state
  EXPECT_EQ(allocations([&] { decode(32); }), 0u);
  EXPECT_GT(sum, 0);
}

INSTANTIATE_TEST_SUITE_P(Devices, DecodingAllocations,
                         testing::Combine(testing::Values("reference", "cpu"),
                                          testing::Values(1, 3), testing::Values(0, 2, 8)),
                         [](const auto& one) {
                           return fmt::format("{}_{}_threads_run_ahead_{}", std::get<0>(one.param),
                                              std::get<1>(one.param), std::get<2>(one.param));
                         });

}  // namespace
}  // namespace bitaxon::test
