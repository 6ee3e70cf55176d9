// Long calls from Python: they run on another thread, and the caller waits without the lock of the
// interpreter.
#pragma once

#include <nanobind/nanobind.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "platform/job_queue.h"

namespace bitaxon::python {

/// A value of this process. A child made by fork gets a new one, because the threads of its parent
/// are not there. Values are never destroyed: their threads may outlive static objects.
template <class T>
class PerProcess {
 public:
  T& get() {
    const std::lock_guard lock(mutex_);
    if (value_ == nullptr || process_ != ::getpid()) value_ = new T;
    process_ = ::getpid();
    return *value_;
  }

 private:
  std::mutex mutex_;
  T* value_ = nullptr;
  pid_t process_ = 0;
};

/// The thread of work that belongs to no model. It lives until the process ends.
JobQueue& background();

/// Waits until a job is done, with the lock of the interpreter held on entry and released meanwhile.
/// `each_time` is called with the lock, several times a second. If it throws, or a signal handler of
/// Python raises an exception (KeyboardInterrupt), cancels the job, calls `interrupted` and throws
/// the exception at once: the job ends in the background. Throws what the job has thrown.
void wait_for(Job& job, const std::function<void()>& interrupted = {},
              const std::function<void()>& each_time = {});

/// Runs `work` on another thread and waits for its result as wait_for() does. The work must hold what
/// it uses, and nothing of Python.
template <class Work>
auto in_background(Work work) {
  using Result = decltype(work());
  struct Held {
    Work work;
    std::optional<Result> result;
  };
  const auto held = std::make_shared<Held>(Held{std::move(work), {}});
  const auto job =
      background().post([held](const std::atomic<bool>&) { held->result.emplace(held->work()); });
  wait_for(*job);
  return *std::move(held->result);
}

/// Runs `work` on a new thread and waits as wait_for() does, but until the work has ended, also after
/// an exception. This is for work that soon ends when it is cancelled. `each_time` is also called
/// once at the end.
void run_to_its_end(Job::Work work, const std::function<void()>& each_time = {});

/// Releases the lock of the interpreter while it exists.
class Unlocked {
 public:
  Unlocked();
  Unlocked(const Unlocked&) = delete;
  Unlocked& operator=(const Unlocked&) = delete;
  ~Unlocked();

 private:
  PyThreadState* state_;
};

/// Lets drain_all() call a function while this object exists. The function cancels work and waits until
/// it has ended, and needs no lock of the interpreter.
class Drained {
 public:
  explicit Drained(std::function<void()> drain);
  Drained(const Drained&) = delete;
  Drained& operator=(const Drained&) = delete;
  ~Drained();

 private:
  friend void drain_all();
  std::function<void()> drain_;
};

/// For the end of the interpreter: end_waiting(), and the end of all work.
void drain_all();

/// For the end of the interpreter. From now on, threads that are Unlocked stay so until the process
/// ends, because a thread that asks for the lock of an interpreter that is being freed is ended in a
/// way that C++ does not survive. The calling thread may go on.
void end_waiting();

/// How far a job is. The job sets the numbers, and the thread that waits tells them to Python.
class Progress {
 public:
  /// `callback` takes (done, total), or is None.
  explicit Progress(nanobind::object callback) : callback_(std::move(callback)) {}

  void set(std::uint64_t done, std::uint64_t total) {
    total_ = total;
    done_ = done;
  }
  /// Calls the callback if the numbers have changed. For `each_time`.
  void tell();

 private:
  nanobind::object callback_;
  std::atomic<std::uint64_t> done_ = 0, total_ = 0;
  std::uint64_t told_ = 0;
};

}  // namespace bitaxon::python
