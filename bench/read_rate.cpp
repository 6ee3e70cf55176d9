#include "read_rate.h"

#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <numeric>
#include <span>
#include <thread>
#include <vector>

namespace bitaxon::test {
namespace {

constexpr std::size_t kBytes = std::size_t{512} << 20;
constexpr std::size_t kWords = kBytes / sizeof(std::uint64_t);
constexpr std::size_t kHugePage = std::size_t{2} << 20;
constexpr int kPasses = 5;

using HugePages = std::unique_ptr<void, decltype(&std::free)>;

/// Seconds of one pass; the sums keep the reads from being left out.
double seconds_of_pass(std::span<const std::uint64_t> words, std::span<std::uint64_t> sums) {
  const auto begin = std::chrono::steady_clock::now();
  std::vector<std::thread> threads;
  const std::size_t share = words.size() / sums.size();
  for (std::size_t t = 0; t < sums.size(); ++t)
    threads.emplace_back([part = words.subspan(t * share, share), &sum = sums[t]] {
      sum += std::accumulate(part.begin(), part.end(), std::uint64_t{0});
    });
  for (std::thread& thread : threads) thread.join();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

}  // namespace

double host_read_rate() {
  const HugePages memory(std::aligned_alloc(kHugePage, kBytes), std::free);
  if (memory == nullptr) throw std::bad_alloc();
  // Where the system has them; reading through small pages is slower.
  madvise(memory.get(), kBytes, MADV_HUGEPAGE);
  const std::span words(static_cast<std::uint64_t*>(memory.get()), kWords);
  std::ranges::fill(words, 1);
  std::vector<std::uint64_t> sums(std::max(1U, std::thread::hardware_concurrency()));
  double best = seconds_of_pass(words, sums);
  for (int pass = 1; pass < kPasses; ++pass) best = std::min(best, seconds_of_pass(words, sums));
  const std::size_t n_read = kWords / sums.size() * sums.size();
  // Every word is 1, so the sums say that all of them were read.
  const std::uint64_t total = std::accumulate(sums.begin(), sums.end(), std::uint64_t{0});
  return total == n_read * kPasses ? static_cast<double>(n_read * sizeof(std::uint64_t)) / best
                                   : 0.0;
}

}  // namespace bitaxon::test
