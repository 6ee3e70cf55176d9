#include "cpu/thread_pool.h"

#include <gtest/gtest.h>

#include <numeric>

#include "cpu/cpu_backend.h"
#include "support/errors.h"

namespace bitaxon::cpu {
namespace {

/// An item cost so high that the pool shares every loop among its threads. The unit is operations
/// per item.
constexpr std::int64_t kWorthSharing = 1'000'000;

std::uint64_t items_of_all(const ThreadPool& pool) {
  std::uint64_t total = 0;
  for (int i = 0; i < pool.n_threads(); ++i) total += pool.items_run(i);
  return total;
}

TEST(ThreadPool, RunsEveryItemExactlyOnce) {
  for (int n_threads : {1, 2, 3, 7, 16}) {
    ThreadPool pool(n_threads);
    ASSERT_EQ(pool.n_threads(), n_threads);
    std::uint64_t expected = 0;
    for (std::int64_t n_items : {0, 1, 2, 3, 7, 8, 64, 65, 1000, 12345})
      for (std::int64_t item_cost : {std::int64_t{0}, std::int64_t{1}, kWorthSharing}) {
        std::vector<std::atomic<int>> runs(static_cast<std::size_t>(n_items));
        std::atomic<bool> thread_in_range = true;
        pool.parallel_for(n_items, item_cost,
                          [&](std::int64_t begin, std::int64_t end, int thread) {
                            if (thread < 0 || thread >= n_threads) thread_in_range = false;
                            for (std::int64_t i = begin; i < end; ++i)
                              ++runs[static_cast<std::size_t>(i)];
                          });
        expected += static_cast<std::uint64_t>(n_items);
        EXPECT_TRUE(thread_in_range);
        for (std::size_t i = 0; i < runs.size(); ++i)
          ASSERT_EQ(runs[i].load(), 1)
              << "item " << i << " of " << n_items << ", " << n_threads << " threads";
        ASSERT_EQ(items_of_all(pool), expected);
      }
  }
}

TEST(ThreadPool, RunsManyLoopsOneAfterTheOther) {
  ThreadPool pool(4);
  // Not atomic, because a loop must end before the next begins.
  std::vector<std::int64_t> values(97, 0);
  for (int round = 0; round < 5000; ++round)
    pool.parallel_for(97, kWorthSharing, [&](std::int64_t begin, std::int64_t end, int) {
      for (std::int64_t i = begin; i < end; ++i) ++values[static_cast<std::size_t>(i)];
    });
  for (std::int64_t value : values) ASSERT_EQ(value, 5000);
}

TEST(ThreadPool, ShortLoopsStayOnTheCaller) {
  ThreadPool pool(3);
  pool.parallel_for(100, 1, [](std::int64_t, std::int64_t, int thread) { EXPECT_EQ(thread, 0); });
  EXPECT_EQ(pool.items_run(0), 100U);
  EXPECT_EQ(pool.items_run(1) + pool.items_run(2), 0U);
}

TEST(ThreadPool, EachThreadHasItsOwnNumber) {
  ThreadPool pool(5);
  std::array<std::atomic<int>, 5> inside{};
  std::atomic<bool> shared = false;
  pool.parallel_for(1000, kWorthSharing, [&](std::int64_t, std::int64_t, int thread) {
    // Kernels use this number as an index of scratch memory. So two threads must never have the
    // same number at the same time.
    if (++inside[static_cast<std::size_t>(thread)] != 1) shared = true;
    --inside[static_cast<std::size_t>(thread)];
  });
  EXPECT_FALSE(shared);
}

TEST(ThreadPool, EveryThreadGetsWork) {
  // There are as many items as threads, and no item ends before all items have begun. So each
  // thread must run exactly one item.
  ThreadPool pool(7);
  std::atomic<int> n_begun = 0;
  pool.parallel_for(7, kWorthSharing, [&](std::int64_t, std::int64_t, int) {
    ++n_begun;
    n_begun.notify_all();
    for (int n = n_begun; n < 7; n = n_begun) n_begun.wait(n);
  });
  for (int thread = 0; thread < 7; ++thread) EXPECT_EQ(pool.items_run(thread), 1U);
}

TEST(CpuBackend, AcceptsAnEmptyBuffer) {
  const auto backend = cpu::open_cpu_backend({.n_threads = 1});
  const Buffer empty = backend->allocate(0, BufferUse::state);
  EXPECT_NE(empty.memory, nullptr);
  EXPECT_EQ(empty.size_bytes, 0U);
  backend->upload(empty, 0, {});
  backend->download(empty, 0, {});
}

TEST(CpuBackend, RefusesInvalidThreadCounts) {
  for (int n_threads : {-1, 1025})
    test::expect_invalid([&] { open_cpu_backend({.n_threads = n_threads}); },
                         "[cpu] threads: expected 1..1024, got " + std::to_string(n_threads));
}

}  // namespace
}  // namespace bitaxon::cpu
