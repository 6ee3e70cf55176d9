#include "hub/retries.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <thread>

namespace bitaxon::hub {

bool Retries::wait(int wait_seconds) {
  constexpr int kLongestPauseMs = 8000;
  constexpr auto kSlice = std::chrono::milliseconds(50);
  if (++n_failed_ >= kMaxTries) return false;
  const int pause_ms = std::max(
      std::min(options_.first_pause_ms << (n_failed_ - 1), kLongestPauseMs), wait_seconds * 1000);
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(pause_ms);
  for (options_.check_interrupted(); std::chrono::steady_clock::now() < end;
       options_.check_interrupted())
    std::this_thread::sleep_for(kSlice);
  return true;
}

bool is_passing(int status) { return status == 408 || status == 429 || status >= 500; }

int retry_after_seconds(const HttpHead& head) {
  constexpr int kLongest = 60;
  const std::string text = head.field("retry-after");  // its other form, a date, is not honoured
  int seconds = 0;
  std::from_chars(text.data(), text.data() + text.size(), seconds);
  return std::clamp(seconds, 0, kLongest);
}

}  // namespace bitaxon::hub
