#include "platform/counted_memory.h"

#include <atomic>

namespace bitaxon {
namespace {

std::atomic<std::int64_t> held{0};
std::atomic<std::int64_t> peak{0};

}  // namespace

void count_backend_bytes(std::int64_t change) noexcept {
  const std::int64_t now = held += change;
  std::int64_t most = peak;
  while (now > most && !peak.compare_exchange_weak(most, now)) {
  }
}

std::uint64_t backend_bytes() noexcept { return static_cast<std::uint64_t>(held.load()); }

std::uint64_t peak_backend_bytes() noexcept { return static_cast<std::uint64_t>(peak.load()); }

void reset_peak_backend_bytes() noexcept { peak = held.load(); }

}  // namespace bitaxon
