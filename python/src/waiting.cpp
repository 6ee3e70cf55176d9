#include "waiting.h"

#include <dlfcn.h>

#include <chrono>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

namespace nb = nanobind;

namespace bitaxon::python {
namespace {

/// How often a waiting thread looks for signals.
constexpr std::chrono::milliseconds kLook(20);

/// Whether the interpreter is being freed. False where CPython does not tell.
bool is_finalizing() {
  using Ask = int (*)();
  static const auto ask = [] {
    void* found = ::dlsym(RTLD_DEFAULT, "Py_IsFinalizing");
    return reinterpret_cast<Ask>(found != nullptr ? found
                                                  : ::dlsym(RTLD_DEFAULT, "_Py_IsFinalizing"));
  }();
  return ask != nullptr && ask() != 0;
}

/// Threads pass the gate when they take the lock of the interpreter again.
class Gate {
 public:
  /// Call this without the lock of the interpreter. May never return after close().
  void enter() {
    ++n_passing_;
    if (!is_closed_ || std::this_thread::get_id() == owner_) return;
    --n_passing_;
    // Between the handlers of atexit and the end, little time passes. If the end does not come,
    // another handler may be waiting for this thread.
    for (int n = 0; n < 20 || is_finalizing(); ++n)
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    ++n_passing_;
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

struct {
  std::mutex mutex;
  std::vector<Drained*> objects;
} all_drained;

bool is_done_after_a_while(const Job& job) {
  const Unlocked unlocked;
  return job.wait_for(kLook);
}

}  // namespace

Unlocked::Unlocked() : state_(PyEval_SaveThread()) {}

Unlocked::~Unlocked() {
  gate.enter();
  PyEval_RestoreThread(state_);
  gate.leave();
}

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
        const Unlocked unlocked;
        job->wait();
      },
      each_time);
  if (each_time) each_time();
}

Drained::Drained(std::function<void()> drain) : drain_(std::move(drain)) {
  const std::lock_guard lock(all_drained.mutex);
  all_drained.objects.push_back(this);
}

Drained::~Drained() {
  const std::lock_guard lock(all_drained.mutex);
  std::erase(all_drained.objects, this);
}

void drain_all() {
  end_waiting();
  const Unlocked unlocked;
  const std::lock_guard lock(all_drained.mutex);
  for (const Drained* object : all_drained.objects) object->drain_();
  background().cancel_all();
  background().post([](const std::atomic<bool>&) {})->wait();
}

void end_waiting() { gate.close(); }

void Progress::tell() {
  const std::uint64_t done = done_;
  if (callback_.is_none() || done == told_) return;
  told_ = done;
  callback_(done, total_.load());
}

}  // namespace bitaxon::python
