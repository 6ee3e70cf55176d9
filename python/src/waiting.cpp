#include "waiting.h"

#include <chrono>
#include <utility>

namespace nb = nanobind;

namespace bitaxon::python {
namespace {

constexpr std::chrono::milliseconds kSlice{20};

bool done_after_a_slice(const Job& job) {
  const nb::gil_scoped_release release;
  return job.wait_for(kSlice);
}

}  // namespace

void run_to_its_end(Job::Work work, const std::function<void()>& each_time) {
  JobQueue queue;
  const auto job = queue.post(std::move(work));
  try {
    for (bool done = false; !done;) {
      done = done_after_a_slice(*job);
      if (PyErr_CheckSignals() != 0) throw nb::python_error();
      if (each_time) each_time();
    }
  } catch (...) {
    job->cancel();
    const nb::gil_scoped_release release;
    job->wait();
    throw;
  }
  job->rethrow();
}

void Progress::tell() {
  const std::uint64_t done = done_;
  if (callback_.is_none() || done == told_) return;
  told_ = done;
  callback_(done, total_.load());
}

}  // namespace bitaxon::python
