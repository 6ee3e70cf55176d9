// Long calls from Python: they run on a thread of their own, without the interpreter's lock.
#pragma once

#include <nanobind/nanobind.h>

#include <atomic>
#include <cstdint>
#include <functional>

#include "platform/job_queue.h"

namespace bitaxon::python {

/// Waits for a job, with the interpreter's lock held on entry and released meanwhile. If a signal
/// handler of Python raises (Ctrl-C), or `each_time` throws, the job is cancelled, and the
/// exception goes on when the job has ended. `each_time` is called with the lock, several times a
/// second and once at the end. Throws what the job has thrown.
void wait_for(Job& job, const std::function<void()>& each_time = {});

/// Runs `work` on a new thread and waits for it.
void run_interruptibly(Job::Work work, const std::function<void()>& each_time = {});

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
