// Runs work in the background, one job after the other, on a thread of its own.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

namespace bitaxon {

/// Work that was handed to a JobQueue. All functions may be called from any thread.
class Job {
 public:
  /// The work of a job. It should return soon after `cancelled` becomes true.
  using Work = std::function<void(const std::atomic<bool>& cancelled)>;

  explicit Job(Work work) : work_(std::move(work)) {}

  /// Waits until the job is done, for at most `time`. Returns whether the job is done.
  bool wait_for(std::chrono::milliseconds time) const;
  void wait() const;
  bool done() const;
  /// Asks the job to end. A job that has not begun is run too, so that it can tell its caller that
  /// it was cancelled. A signal handler may call this function.
  void cancel() noexcept { cancelled_ = true; }
  /// Throws what the work has thrown. Call this after the job is done.
  void rethrow() const;

 private:
  friend class JobQueue;
  void run();

  Work work_;
  std::atomic<bool> cancelled_ = false;
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  bool done_ = false;
  std::exception_ptr failure_;
};

class JobQueue {
 public:
  /// Throws Error(device) if the system refuses to start a thread.
  JobQueue();
  JobQueue(const JobQueue&) = delete;
  JobQueue& operator=(const JobQueue&) = delete;
  /// Cancels all jobs and waits until they are done. Must not be called from a job.
  ~JobQueue();

  /// Runs `work` after all jobs that were posted before.
  std::shared_ptr<Job> post(Job::Work work);
  /// Cancels the jobs that are not done.
  void cancel_all();

 private:
  void run();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::shared_ptr<Job>> jobs_;  ///< the first one may be running
  bool closing_ = false;
  std::thread thread_;
};

}  // namespace bitaxon
