// Threads that share the items of a loop.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include "platform/home_cores.h"

namespace bitaxon::cpu {

/// A fixed set of threads. The thread that runs a loop, the caller, is one of them. There may be
/// only one caller at a time. Items are assigned to threads dynamically, so a result must not
/// depend on which thread computes an item. Nothing is allocated after construction. Threads poll
/// for the next loop for some microseconds, then sleep. A loop does not wait for a thread that has
/// not joined the loop, so the loop ends even if another process occupies the core of that thread.
class ThreadPool {
 public:
  /// `n_threads` is 1 or more and includes the caller.
  explicit ThreadPool(int n_threads);
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;
  ~ThreadPool();

  int n_threads() const { return static_cast<int>(counters_.size()); }
  /// The cores where the threads sleep; the caller is the first thread.
  const HomeCores& cores() const { return cores_; }
  /// The number of items that one thread has computed since construction.
  std::uint64_t items_run(int thread) const {
    return counters_[static_cast<std::size_t>(thread)]->load(std::memory_order_relaxed);
  }

  /// Calls body(begin, end, thread) for ranges that together cover [0, n_items). Returns when all
  /// calls have ended. `item_cost` is a rough number of floating-point operations per item. If the
  /// loop is too short to justify waking a thread, the caller runs it alone. `body` must not throw.
  template <class Body>
  void parallel_for(std::int64_t n_items, std::int64_t item_cost, const Body& body) {
    run(
        n_items, item_cost,
        [](const void* context, std::int64_t begin, std::int64_t end, int thread) {
          (*static_cast<const Body*>(context))(begin, end, thread);
        },
        &body);
  }

 private:
  using Body = void (*)(const void* context, std::int64_t begin, std::int64_t end, int thread);

  void run(std::int64_t n_items, std::int64_t item_cost, Body body, const void* context);
  void stop();
  void take_items(int thread);
  /// The number of items that the thread takes that comes when `begin` items are taken.
  std::int64_t range_at(std::int64_t begin) const;
  void work(int thread);
  bool join(std::uint32_t round);

  HomeCores cores_;
  std::vector<std::unique_ptr<std::atomic<std::uint64_t>>> counters_;
  // The current loop. The caller writes these members before it advances round_; other threads read
  // them after that.
  Body body_ = nullptr;
  const void* context_ = nullptr;
  std::int64_t n_items_ = 0;
  std::int64_t first_range_ = 0;  ///< the number of items that each thread takes at first
  std::int64_t least_range_ = 1;
  std::atomic<std::int64_t> next_{0};
  std::atomic<std::uint32_t> round_{0};
  /// The number of threads in the current loop, not counting the caller. The bit kOpen is set while
  /// more threads may join. The upper 32 bits are the round, so that no thread joins a later loop
  /// by mistake.
  std::atomic<std::uint64_t> joined_{0};
  std::atomic<int> asleep_{0};
  std::atomic<bool> stop_{false};
  std::vector<std::thread> workers_;
};

}  // namespace bitaxon::cpu
