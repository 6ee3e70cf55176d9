#include "platform/threads.h"

#include <gtest/gtest.h>

#include <atomic>
#include <new>
#include <string>
#include <system_error>

#include "bitaxon/error.h"
#include "platform/host_rates.h"

namespace bitaxon {
namespace {

TEST(Threads, RunsEachIndexInAThread) {
  std::atomic<int> sum = 0;
  std::vector<std::thread> threads = start_threads(
      2, 5, 9, [&](int index) { sum += index; }, [] { FAIL() << "all threads have started"; });
  EXPECT_EQ(threads.size(), 3U);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(sum, 2 + 3 + 4);
  EXPECT_TRUE(start_threads(
                  3, 3, 1, [](int) {}, [] {})
                  .empty());
}

/// A thread body that waits until it is released. Each thread gets a copy of the body. The third
/// copy throws, as if the system refused to start the third thread.
template <class Failure>
struct Waiting {
  std::atomic<int>* n_running;
  std::atomic<bool>* released;
  std::atomic<int>* n_copies;
  Failure failure;

  Waiting(std::atomic<int>& running, std::atomic<bool>& flag, std::atomic<int>& copies, Failure why)
      : n_running(&running), released(&flag), n_copies(&copies), failure(why) {}
  Waiting(const Waiting& other)
      : n_running(other.n_running),
        released(other.released),
        n_copies(other.n_copies),
        failure(other.failure) {
    if (++*n_copies == 3) throw Failure(failure);
  }
  Waiting(Waiting&&) noexcept = default;

  void operator()(int) const {
    ++*n_running;
    released->wait(false);
    --*n_running;
  }
};

template <class Failure>
void start_until(const Failure& failure) {
  std::atomic<int> n_running = 0, n_copies = 0;
  std::atomic<bool> released = false;
  const std::function<void(int)> body = Waiting(n_running, released, n_copies, failure);
  n_copies = 0;
  const auto release = [&] {
    EXPECT_FALSE(released);
    released = true;
    released.notify_all();
  };
  try {
    start_threads(0, 7, 7, body, release);
    ADD_FAILURE() << "expected an error";
  } catch (...) {
    EXPECT_TRUE(released);
    EXPECT_EQ(n_running, 0) << "a started thread was not joined";
    EXPECT_EQ(n_copies, 3);
    throw;
  }
}

TEST(Threads, ReleasesStartedThreadsWhenOneFailsToStart) {
  try {
    start_until(std::system_error(EAGAIN, std::generic_category()));
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::device);
    EXPECT_EQ(error.what(),
              std::string("cannot start 7 threads: Resource temporarily unavailable"));
  }
  EXPECT_THROW(start_until(std::bad_alloc()), std::bad_alloc);
}

TEST(ReadRateBytes, ShrinkWithTheAvailableMemory) {
  EXPECT_EQ(read_rate_bytes(512, 64, std::nullopt), 512U);
  EXPECT_EQ(read_rate_bytes(512, 64, 5000), 512U);
  EXPECT_EQ(read_rate_bytes(512, 64, 1024), 512U);
  EXPECT_EQ(read_rate_bytes(512, 64, 1023), 256U);
  EXPECT_EQ(read_rate_bytes(512, 64, 128), 64U);
  EXPECT_EQ(read_rate_bytes(512, 64, 127), 0U);
  EXPECT_EQ(read_rate_bytes(512, 512, 1023), 0U);
  EXPECT_EQ(read_rate_bytes(512, 64, 0), 0U);
}

}  // namespace
}  // namespace bitaxon
