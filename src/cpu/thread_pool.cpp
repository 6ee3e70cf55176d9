#include "cpu/thread_pool.h"

#include <hwy/cache_control.h>

#include <algorithm>
#include <chrono>

#include "platform/threads.h"

namespace bitaxon::cpu {
namespace {

/// The fewest operations of a loop that is shared among threads. For fewer operations, sharing
/// costs more than it saves.
constexpr std::int64_t kWorthSharing = 20'000;
/// The time for which a thread polls for work before it sleeps. It is about the time that waking a
/// thread takes. The gaps between the loops of a step are shorter, so threads sleep only after a
/// step.
constexpr std::chrono::microseconds kLookout{60};
constexpr int kLooksPerClock = 32;
/// A thread first takes this part of its share of a loop at once. The rest is for the threads that
/// are ready first, and its ranges become smaller, so that all threads finish at about the same
/// time. A range begins a new stream of memory, and this costs a microsecond. So a short loop has
/// few ranges. A long loop leaves more for the faster threads.
/// Source: Polychronopoulos and Kuck 1987, "Guided self-scheduling".
constexpr double kFirstPart = 0.85;
constexpr double kFirstPartOfLong = 0.5;
constexpr double kLongLoop = 2e7;  ///< operations of each thread: about a millisecond
/// The fewest operations of a range, unless one item has more: about two microseconds of reading.
constexpr std::int64_t kLeastRange = 200'000;

// The bits of joined_, highest first: round (32 bits), kOpen (1 bit), number of threads (31 bits).
constexpr std::uint64_t kOpen = std::uint64_t{1} << 31;
constexpr std::uint64_t opened(std::uint32_t round) { return std::uint64_t{round} << 32 | kOpen; }
constexpr std::uint64_t n_joined(std::uint64_t joined) { return joined & (kOpen - 1); }

/// Polls done() until it returns true, for at most kLookout. Returns the last result of done().
template <class Done>
bool look_out(const Done& done) {
  const auto end = std::chrono::steady_clock::now() + kLookout;
  for (;;) {
    for (int i = 0; i < kLooksPerClock; ++i) {
      if (done()) return true;
      hwy::Pause();
    }
    if (std::chrono::steady_clock::now() >= end) return false;
  }
}

}  // namespace

ThreadPool::ThreadPool(int n_threads) : cores_(n_threads) {
  for (int i = 0; i < n_threads; ++i)
    counters_.push_back(std::make_unique<std::atomic<std::uint64_t>>(0));
  workers_ = start_threads(
      1, n_threads, n_threads, [this](int i) { work(i); }, [this] { stop(); });
}

ThreadPool::~ThreadPool() {
  stop();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::stop() {
  stop_ = true;
  ++round_;
  round_.notify_all();
}

std::int64_t ThreadPool::range_at(std::int64_t begin) const {
  const auto threads = static_cast<std::int64_t>(counters_.size());
  if (begin < first_range_ * threads) return first_range_;
  const std::int64_t left = n_items_ - begin;
  return std::min(left, std::max(least_range_, left / threads));
}

void ThreadPool::take_items(int thread) {
  std::uint64_t done = 0;
  std::int64_t begin = next_.load(std::memory_order_relaxed);
  while (begin < n_items_) {
    const std::int64_t n = range_at(begin);
    if (!next_.compare_exchange_weak(begin, begin + n, std::memory_order_relaxed)) continue;
    body_(context_, begin, begin + n, thread);
    done += static_cast<std::uint64_t>(n);
    begin = next_.load(std::memory_order_relaxed);
  }
  counters_[static_cast<std::size_t>(thread)]->fetch_add(done, std::memory_order_relaxed);
}

void ThreadPool::run(std::int64_t n_items, std::int64_t item_cost, Body body, const void* context) {
  if (n_items <= 0) return;
  if (workers_.empty() || n_items == 1 ||
      n_items * std::max<std::int64_t>(item_cost, 1) < kWorthSharing) {
    body(context, 0, n_items, 0);
    counters_[0]->fetch_add(static_cast<std::uint64_t>(n_items), std::memory_order_relaxed);
    return;
  }
  body_ = body;
  context_ = context;
  n_items_ = n_items;
  const double share = static_cast<double>(n_items) / static_cast<double>(n_threads());
  const bool is_long = share * static_cast<double>(item_cost) > kLongLoop;
  first_range_ = static_cast<std::int64_t>((is_long ? kFirstPartOfLong : kFirstPart) * share);
  least_range_ = std::max<std::int64_t>(1, kLeastRange / std::max<std::int64_t>(item_cost, 1));
  next_.store(0, std::memory_order_relaxed);
  const std::uint32_t round = round_.load(std::memory_order_relaxed) + 1;
  joined_.store(opened(round), std::memory_order_release);
  round_.store(round, std::memory_order_seq_cst);
  if (asleep_.load(std::memory_order_seq_cst) > 0) round_.notify_all();
  take_items(0);
  // No item is left, so threads that have not joined yet are no longer allowed to join.
  joined_.fetch_and(~kOpen, std::memory_order_acq_rel);
  const auto left = [&] { return n_joined(joined_.load(std::memory_order_acquire)) == 0; };
  while (!left())
    if (!look_out(left)) {
      const std::uint64_t joined = joined_.load(std::memory_order_acquire);
      if (n_joined(joined) != 0) joined_.wait(joined, std::memory_order_acquire);
    }
}

bool ThreadPool::join(std::uint32_t round) {
  std::uint64_t joined = joined_.load(std::memory_order_acquire);
  do {
    if (joined >> 32 != round || (joined & kOpen) == 0) return false;
  } while (!joined_.compare_exchange_weak(joined, joined + 1, std::memory_order_acq_rel));
  return true;
}

void ThreadPool::work(int thread) {
  std::uint32_t seen = 0;
  for (;;) {
    const auto changed = [&] { return round_.load(std::memory_order_acquire) != seen; };
    if (!look_out(changed)) {
      asleep_.fetch_add(1, std::memory_order_seq_cst);
      cores_.settle(thread);
      round_.wait(seen, std::memory_order_seq_cst);
      cores_.leave(thread);
      asleep_.fetch_sub(1, std::memory_order_seq_cst);
    }
    seen = round_.load(std::memory_order_acquire);
    if (stop_) return;
    if (!join(seen)) continue;
    take_items(thread);
    if (n_joined(joined_.fetch_sub(1, std::memory_order_acq_rel)) == 1) joined_.notify_one();
  }
}

}  // namespace bitaxon::cpu
