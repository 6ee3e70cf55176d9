#include "platform/job_queue.h"

#include <gtest/gtest.h>

#include <stdexcept>
#include <thread>
#include <vector>

namespace bitaxon::test {
namespace {

using std::chrono::milliseconds;

/// Work that returns when it is cancelled.
void wait_until_cancelled(const std::atomic<bool>& cancelled) {
  while (!cancelled) std::this_thread::sleep_for(milliseconds(1));
}

TEST(JobQueue, RunsJobsInTheOrderOfPosting) {
  JobQueue queue;
  std::vector<int> order;
  std::vector<std::shared_ptr<Job>> jobs;
  for (int i = 0; i < 100; ++i)
    jobs.push_back(queue.post([&order, i](const std::atomic<bool>&) { order.push_back(i); }));
  jobs.back()->wait();
  for (int i = 0; i < 100; ++i) EXPECT_EQ(order[static_cast<std::size_t>(i)], i);
  for (const auto& job : jobs) EXPECT_TRUE(job->done());
}

TEST(JobQueue, WaitsNoLongerThanAsked) {
  JobQueue queue;
  const auto job = queue.post(wait_until_cancelled);
  EXPECT_FALSE(job->wait_for(milliseconds(1)));
  job->cancel();
  job->wait();
  EXPECT_TRUE(job->wait_for(milliseconds(0)));
}

TEST(JobQueue, GivesTheFailureOfAJobToItsCallerAndRunsTheNextJob) {
  JobQueue queue;
  const auto failing =
      queue.post([](const std::atomic<bool>&) { throw std::runtime_error("broken"); });
  const auto next = queue.post([](const std::atomic<bool>&) {});
  next->wait();
  EXPECT_THROW(failing->rethrow(), std::runtime_error);
  EXPECT_NO_THROW(next->rethrow());
}

TEST(JobQueue, CancelsAllJobsWhenItIsDestroyed) {
  std::vector<std::shared_ptr<Job>> jobs;
  int n_cancelled = 0;
  {
    JobQueue queue;
    jobs.push_back(queue.post(wait_until_cancelled));
    jobs.push_back(queue.post([&](const std::atomic<bool>& cancelled) {
      wait_until_cancelled(cancelled);
      ++n_cancelled;
    }));
  }
  for (const auto& job : jobs) EXPECT_TRUE(job->done());
  EXPECT_EQ(n_cancelled, 1);
}

TEST(JobQueue, TakesJobsFromSeveralThreads) {
  JobQueue queue;
  int n_run = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 100; ++i) queue.post([&](const std::atomic<bool>&) { ++n_run; })->wait();
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(n_run, 400);
}

TEST(JobQueue, FreesTheWorkOfAJobBeforeTheJobIsDone) {
  JobQueue queue;
  const auto held = std::make_shared<int>(1);
  const auto job = queue.post([held](const std::atomic<bool>&) {});
  job->wait();
  EXPECT_EQ(held.use_count(), 1);
}

}  // namespace
}  // namespace bitaxon::test
