#include "training/data/each_example.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>

#include "platform/cpu_info.h"
#include "platform/threads.h"

namespace bitaxon {
namespace {

constexpr std::size_t kAtOnce = 64;  ///< examples that a thread takes

class Work {
 public:
  Work(std::size_t n, const std::function<void(std::size_t)>& body,
       const std::function<void(double)>& on_progress)
      : n_(n), end_(n), body_(body), on_progress_(on_progress) {}

  void run() {
    for (std::size_t begin; (begin = next_.fetch_add(kAtOnce)) < end_;) {
      const std::size_t end = std::min(begin + kAtOnce, n_);
      run(begin, end);
      report(end - begin);
    }
  }
  /// Makes all threads return soon.
  void stop() { end_ = 0; }
  void rethrow() const {
    if (failure_) std::rethrow_exception(failure_);
  }

 private:
  void run(std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end && i < end_; ++i) {
      try {
        body_(i);
      } catch (...) {
        const std::lock_guard lock(mutex_);
        if (i >= end_) return;
        end_ = i;
        failure_ = std::current_exception();
      }
    }
  }
  void report(std::size_t n) {
    if (!on_progress_) return;
    const std::lock_guard lock(mutex_);
    done_ += n;
    on_progress_(static_cast<double>(done_) / static_cast<double>(n_));
  }

  std::size_t n_;
  std::atomic<std::size_t> next_ = 0, end_;  ///< end_: the lowest index that has failed
  const std::function<void(std::size_t)>& body_;
  const std::function<void(double)>& on_progress_;
  std::mutex mutex_;
  std::size_t done_ = 0;
  std::exception_ptr failure_;
};

}  // namespace

void for_each_example(std::size_t n, const std::function<void(std::size_t)>& body,
                      const std::function<void(double)>& on_progress) {
  Work work(n, body, on_progress);
  const std::size_t n_parts = (n + kAtOnce - 1) / kAtOnce;
  const int n_threads =
      static_cast<int>(std::min<std::size_t>(static_cast<std::size_t>(usable_cores()), n_parts));
  std::vector<std::thread> others = start_threads(
      1, std::max(n_threads, 1), n_threads, [&](int) { work.run(); }, [&] { work.stop(); });
  work.run();
  for (std::thread& thread : others) thread.join();
  work.rethrow();
}

}  // namespace bitaxon
