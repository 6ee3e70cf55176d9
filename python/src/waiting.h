// Long calls from Python: they run on a thread of their own, without the interpreter's lock.
#pragma once

#include <nanobind/nanobind.h>

#include <atomic>
#include <cstdint>
#include <functional>

#include "platform/job_queue.h"

namespace bitaxon::python {

/// Runs `work` on a new thread and waits until it has ended, with the interpreter's lock held on
/// entry and released meanwhile. `each_time` is called with the lock, several times a second and
/// once at the end. If it throws, or a signal handler of Python raises (Ctrl-C), the work is
/// cancelled, and the exception goes on when the work has ended. Throws what the work has thrown.
/// This is for work that soon ends when it is cancelled.
void run_to_its_end(Job::Work work, const std::function<void()>& each_time = {});

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
