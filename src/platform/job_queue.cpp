#include "platform/job_queue.h"

#include <utility>

#include "platform/threads.h"

namespace bitaxon {

bool Job::wait_for(std::chrono::milliseconds time) const {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, time, [this] { return done_; });
}

void Job::wait() const {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return done_; });
}

bool Job::done() const {
  const std::lock_guard lock(mutex_);
  return done_;
}

void Job::rethrow() const {
  const std::lock_guard lock(mutex_);
  if (failure_) std::rethrow_exception(failure_);
}

void Job::run() {
  std::exception_ptr failure;
  try {
    work_(cancelled_);
  } catch (...) {
    failure = std::current_exception();
  }
  work_ = nullptr;  // frees what the work holds before the caller goes on
  const std::lock_guard lock(mutex_);
  failure_ = std::move(failure);
  done_ = true;
  changed_.notify_all();
}

JobQueue::JobQueue() {
  thread_ = std::move(start_threads(
                          0, 1, 1, [this](int) { run(); }, [] {})
                          .front());
}

JobQueue::~JobQueue() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
  }
  cancel_all();
  changed_.notify_all();
  thread_.join();
}

std::shared_ptr<Job> JobQueue::post(Job::Work work) {
  auto job = std::make_shared<Job>(std::move(work));
  {
    const std::lock_guard lock(mutex_);
    if (closing_) job->cancel();
    jobs_.push_back(job);
  }
  changed_.notify_all();
  return job;
}

void JobQueue::cancel_all() {
  const std::lock_guard lock(mutex_);
  for (const std::shared_ptr<Job>& job : jobs_) job->cancel();
}

void JobQueue::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return closing_ || !jobs_.empty(); });
    if (jobs_.empty()) return;
    const std::shared_ptr<Job> job = jobs_.front();
    lock.unlock();
    job->run();
    lock.lock();
    jobs_.pop_front();
  }
}

}  // namespace bitaxon
