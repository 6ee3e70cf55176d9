#include "cpu/thread_pool.h"

#include <fmt/format.h>

#include <algorithm>
#include <system_error>

#include "bitaxon/error.h"

namespace bitaxon::cpu {
namespace {

/// Below this many operations in all, waking a sleeping thread (some 10 microseconds) costs more
/// than it saves.
constexpr std::int64_t kWorthWaking = 50'000;
/// Ranges per thread: enough that a thread which loses its core for a while is not waited for long.
constexpr std::int64_t kRangesPerThread = 8;

}  // namespace

ThreadPool::ThreadPool(int n_threads) {
  for (int i = 0; i < n_threads; ++i)
    counters_.push_back(std::make_unique<std::atomic<std::uint64_t>>(0));
  try {
    for (int i = 1; i < n_threads; ++i) workers_.emplace_back([this, i] { work(i); });
  } catch (const std::system_error& error) {
    stop();
    throw Error(ErrorKind::device,
                fmt::format("cpu: cannot start {} threads: {}", n_threads, error.code().message()));
  }
}

ThreadPool::~ThreadPool() { stop(); }

void ThreadPool::stop() {
  stop_ = true;
  ++round_;
  round_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::take_items(int thread) {
  std::uint64_t done = 0;
  for (;;) {
    const std::int64_t begin = next_.fetch_add(grain_, std::memory_order_relaxed);
    if (begin >= n_items_) break;
    const std::int64_t end = std::min(begin + grain_, n_items_);
    body_(context_, begin, end, thread);
    done += static_cast<std::uint64_t>(end - begin);
  }
  counters_[static_cast<std::size_t>(thread)]->fetch_add(done, std::memory_order_relaxed);
}

void ThreadPool::run(std::int64_t n_items, std::int64_t item_cost, Body body, const void* context) {
  if (n_items <= 0) return;
  const auto n_threads = static_cast<std::int64_t>(counters_.size());
  if (workers_.empty() || n_items == 1 ||
      n_items * std::max<std::int64_t>(item_cost, 1) < kWorthWaking) {
    body(context, 0, n_items, 0);
    counters_[0]->fetch_add(static_cast<std::uint64_t>(n_items), std::memory_order_relaxed);
    return;
  }
  body_ = body;
  context_ = context;
  n_items_ = n_items;
  grain_ = std::max<std::int64_t>(1, n_items / (n_threads * kRangesPerThread));
  next_.store(0, std::memory_order_relaxed);
  busy_.store(static_cast<std::uint32_t>(workers_.size()), std::memory_order_relaxed);
  round_.fetch_add(1, std::memory_order_release);
  round_.notify_all();
  take_items(0);
  for (std::uint32_t busy = busy_.load(std::memory_order_acquire); busy != 0;
       busy = busy_.load(std::memory_order_acquire))
    busy_.wait(busy, std::memory_order_acquire);
}

void ThreadPool::work(int thread) {
  std::uint32_t seen = 0;
  for (;;) {
    round_.wait(seen, std::memory_order_acquire);
    seen = round_.load(std::memory_order_acquire);
    if (stop_) return;
    take_items(thread);
    if (busy_.fetch_sub(1, std::memory_order_acq_rel) == 1) busy_.notify_one();
  }
}

}  // namespace bitaxon::cpu
