#include "platform/host_rates.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <memory>
#include <numeric>
#include <optional>
#include <span>
#include <thread>
#include <vector>

#include "platform/home_cores.h"
#include "platform/host_memory.h"
#include "platform/threads.h"

namespace bitaxon {
namespace {

constexpr int kPasses = 5;

/// Seconds that work(t) takes on threads t = 0 .. n_threads - 1, from their common start to the end
/// of the last thread. Throws Error(device) when a thread cannot be started.
template <class Work>
double seconds_of(int n_threads, const Work& work) {
  using Clock = std::chrono::steady_clock;
  const HomeCores cores(n_threads);
  std::atomic<int> n_missing = n_threads;
  std::atomic<bool> given_up = false;
  std::vector<Clock::time_point> begins(static_cast<std::size_t>(n_threads));
  const auto begin_together = [&](int t) {
    cores.settle(t);
    --n_missing;
    while (n_missing.load() > 0) {
      if (given_up) return;
      std::this_thread::yield();
    }
    begins[static_cast<std::size_t>(t)] = Clock::now();
    work(t);
  };
  std::vector<std::thread> threads =
      start_threads(0, n_threads, n_threads, begin_together, [&] { given_up = true; });
  for (std::thread& thread : threads) thread.join();
  const std::chrono::duration<double> seconds = Clock::now() - std::ranges::min(begins);
  return seconds.count();
}

// --- reading ---------------------------------------------------------------------------------

constexpr std::size_t kHugePage = std::size_t{2} << 20;

/// The number of words that are read together. The share of memory of every thread is a multiple of
/// this number, so that the shares are aligned for vectors.
constexpr std::size_t kWordsTogether = 16;

/// The sum of all words. Several chains of additions run in parallel, so that reading is the
/// bottleneck. A single scalar chain adds at most eight bytes per cycle, and memory can be faster.
/// The number of words is a multiple of kWordsTogether.
std::uint64_t sum_of(std::span<const std::uint64_t> words) {
  typedef std::uint64_t Vector __attribute__((vector_size(16), may_alias));
  constexpr std::size_t kChains = kWordsTogether / 2;
  Vector sums[kChains] = {};
  const std::size_t n_vectors = words.size() / 2;
  const auto* vectors = reinterpret_cast<const Vector*>(words.data());
  for (std::size_t i = 0; i < n_vectors; i += kChains)
    for (std::size_t chain = 0; chain < kChains; ++chain) sums[chain] += vectors[i + chain];
  std::uint64_t total = 0;
  for (const Vector& sum : sums) total += sum[0] + sum[1];
  return total;
}

/// Memory on huge pages where the system has them, because reading small pages is slower.
class HugePages {
 public:
  /// Allocates as many words as read_rate_bytes() allows, or none. Each word is 1.
  HugePages() {
    constexpr std::size_t kMost = std::size_t{512} << 20;
    constexpr std::size_t kLeast = std::size_t{64} << 20;
    // A cache keeps some of the memory that was read before. So the memory should be at least four
    // times as large as the cache.
    const std::size_t least = std::clamp(4 * cache_bytes(), kLeast, kMost);
    for (std::size_t size = read_rate_bytes(kMost, least, available_memory_bytes()); size > 0;
         size = read_rate_bytes(kMost, least, size)) {
      memory_.reset(std::aligned_alloc(kHugePage, size));
      if (memory_ == nullptr) continue;  // tries half the size next
      madvise(memory_.get(), size, MADV_HUGEPAGE);
      words_ = {static_cast<std::uint64_t*>(memory_.get()), size / sizeof(std::uint64_t)};
      std::ranges::fill(words_, 1);
      return;
    }
  }
  std::span<const std::uint64_t> words() const { return words_; }

 private:
  /// Size of the level 3 cache. 0 when the system does not report it.
  static std::size_t cache_bytes() {
    return static_cast<std::size_t>(std::max(0L, ::sysconf(_SC_LEVEL3_CACHE_SIZE)));
  }

  std::unique_ptr<void, decltype(&std::free)> memory_{nullptr, std::free};
  std::span<std::uint64_t> words_;
};

// --- multiplying and adding ------------------------------------------------------------------

// Ten chains hide the latency of a fused multiply-add on two ports, and leave registers for
// `factor` and `term`. This is a macro because the attributes of the enclosing function decide
// which instructions the compiler uses for a vector.
#define BX_MULTIPLY_ADDS(name, attributes, lanes)                          \
  attributes float name(std::int64_t n_rounds, float factor, float term) { \
    typedef float Vector __attribute__((vector_size((lanes)*4)));          \
    const Vector f = Vector{} + factor, t = Vector{} + term;               \
    Vector a = f, b = f + 1, c = f + 2, d = f + 3, e = f + 4;              \
    Vector g = f + 5, h = f + 6, i = f + 7, j = f + 8, k = f + 9;          \
    for (std::int64_t round = 0; round < n_rounds; ++round) {              \
      a = a * f + t, b = b * f + t, c = c * f + t, d = d * f + t;          \
      e = e * f + t, g = g * f + t, h = h * f + t, i = i * f + t;          \
      j = j * f + t, k = k * f + t;                                        \
    }                                                                      \
    const Vector all = a + b + c + d + e + g + h + i + j + k;              \
    float sum = 0;                                                         \
    for (int lane = 0; lane < (lanes); ++lane) sum += all[lane];           \
    return sum;                                                            \
  }
constexpr int kChains = 10;

struct MultiplyAdds {
  float (*run)(std::int64_t n_rounds, float factor, float term);
  int n_lanes;
};

BX_MULTIPLY_ADDS(multiply_add_4, , 4)
#if defined(__x86_64__)
BX_MULTIPLY_ADDS(multiply_add_8, __attribute__((target("avx2,fma"))), 8)
BX_MULTIPLY_ADDS(multiply_add_16, __attribute__((target("avx512f"))), 16)
#endif
#undef BX_MULTIPLY_ADDS

/// The function with the widest vectors that this processor supports.
MultiplyAdds multiply_adds() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f")) return {multiply_add_16, 16};
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return {multiply_add_8, 8};
#endif
  return {multiply_add_4, 4};
}

}  // namespace

std::size_t read_rate_bytes(std::size_t most, std::size_t least,
                            std::optional<std::uint64_t> available) {
  std::size_t size = most;
  while (available && size > *available / 2 && size >= least) size /= 2;
  return size < least ? 0 : size;
}

double host_read_rate(int n_threads) {
  const HugePages memory;
  const std::span<const std::uint64_t> words = memory.words();
  if (words.empty()) return 0;
  std::vector<std::uint64_t> sums(static_cast<std::size_t>(n_threads));
  const std::size_t share = words.size() / sums.size() / kWordsTogether * kWordsTogether;
  double best = std::numeric_limits<double>::infinity();
  for (int pass = 0; pass < kPasses; ++pass)
    best = std::min(best, seconds_of(n_threads, [&](int thread) {
                      const auto t = static_cast<std::size_t>(thread);
                      sums[t] += sum_of(words.subspan(t * share, share));
                    }));
  const std::size_t n_read = share * sums.size();
  // Every word is 1, so the sums show whether all words were read.
  const std::uint64_t total = std::accumulate(sums.begin(), sums.end(), std::uint64_t{0});
  return total == n_read * kPasses ? static_cast<double>(n_read * sizeof(std::uint64_t)) / best
                                   : 0.0;
}

double host_multiply_add_rate(int n_threads) {
  // A pass of this length makes the start of the threads negligible.
  constexpr double kEnoughSeconds = 0.02;
  constexpr std::int64_t kMostRounds = std::int64_t{1} << 32;
  const MultiplyAdds kind = multiply_adds();
  std::vector<float> sums(static_cast<std::size_t>(n_threads));
  const auto pass = [&](std::int64_t n_rounds) {
    // Every chain ends at exactly term / (1 - factor) = 2, whatever its first value.
    return seconds_of(n_threads, [&](int thread) {
      sums[static_cast<std::size_t>(thread)] = kind.run(n_rounds, 0.5F, 1.0F);
    });
  };
  std::int64_t n_rounds = 1 << 16;
  double best = pass(n_rounds);
  while (best < kEnoughSeconds && n_rounds < kMostRounds) best = pass(n_rounds *= 2);
  for (int i = 1; i < kPasses; ++i) best = std::min(best, pass(n_rounds));
  const int n_values = kChains * kind.n_lanes;
  const bool right = std::all_of(sums.begin(), sums.end(), [&](float sum) {
    return sum == 2.0F * static_cast<float>(n_values);
  });
  const double flops = 2.0 * n_values * static_cast<double>(n_rounds) * n_threads;
  return right ? flops / best : 0.0;
}

}  // namespace bitaxon
