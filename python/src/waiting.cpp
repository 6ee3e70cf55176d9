#include "waiting.h"

#include <chrono>
#include <optional>
#include <thread>
#include <utility>

namespace nb = nanobind;

namespace bitaxon::python {
namespace {

/// How often a waiting thread looks for signals.
constexpr std::chrono::milliseconds kLook(20);

/// Threads pass the gate when they take the lock of the interpreter again.
class Gate {
 public:
  /// Call this without the lock of the interpreter. Does not return if the gate is closed.
  void enter() {
    ++n_passing_;
    if (!is_closed_ || std::this_thread::get_id() == owner_) return;
    --n_passing_;
    for (;;) std::this_thread::sleep_for(std::chrono::hours(1));
  }
  /// Call this with the lock.
  void leave() { --n_passing_; }
  void close() {
    owner_ = std::this_thread::get_id();
    is_closed_ = true;
    const nb::gil_scoped_release release;
    // A child made by fork may count a thread that it does not have.
    for (int n = 0; n_passing_ > 0 && n < 1000; ++n)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }

 private:
  std::atomic<int> n_passing_ = 0;
  std::atomic<bool> is_closed_ = false;
  std::thread::id owner_;
};
Gate gate;

bool is_done_after_a_while(const Job& job) {
  bool done = false;
  {
    const nb::gil_scoped_release release;
    done = job.wait_for(kLook);
    gate.enter();
  }
  gate.leave();
  return done;
}

}  // namespace

JobQueue& background() {
  static PerProcess<JobQueue> queue;
  return queue.get();
}

void wait_for(Job& job, const std::function<void()>& interrupted,
              const std::function<void()>& each_time) {
  while (!is_done_after_a_while(job)) {
    std::optional<nb::python_error> raised;
    if (PyErr_CheckSignals() != 0) raised.emplace();
    try {
      if (!raised && each_time) each_time();
    } catch (nb::python_error& error) {
      raised.emplace(std::move(error));
    }
    if (!raised) continue;
    job.cancel();
    if (interrupted) interrupted();
    throw *std::move(raised);
  }
  job.rethrow();
}

void run_to_its_end(Job::Work work, const std::function<void()>& each_time) {
  JobQueue queue;
  const auto job = queue.post(std::move(work));
  wait_for(
      *job,
      [&job] {
        const nb::gil_scoped_release release;
        job->wait();
      },
      each_time);
  if (each_time) each_time();
}

void end_waiting() { gate.close(); }

void Progress::tell() {
  const std::uint64_t done = done_;
  if (callback_.is_none() || done == told_) return;
  told_ = done;
  callback_(done, total_.load());
}

}  // namespace bitaxon::python
