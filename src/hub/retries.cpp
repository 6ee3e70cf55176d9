#include "hub/retries.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <thread>

namespace bitaxon::hub {

int Retries::pause_ms(int wait_seconds) const {
  constexpr int kLongestPauseMs = 8000;
  return std::max(std::min(options_.first_pause_ms << (n_failed_ - 1), kLongestPauseMs),
                  wait_seconds * 1000);
}

std::string Retries::announcement(int wait_seconds) const {
  constexpr int kMany = 5;
  const int seconds = pause_ms(wait_seconds) / 1000;
  return seconds < kMany ? "trying again" : fmt::format("trying again in {} s", seconds);
}

void Retries::wait(int wait_seconds) const {
  constexpr auto kSlice = std::chrono::milliseconds(50);
  const auto end =
      std::chrono::steady_clock::now() + std::chrono::milliseconds(pause_ms(wait_seconds));
  for (options_.check_interrupted(); std::chrono::steady_clock::now() < end;
       options_.check_interrupted())
    std::this_thread::sleep_for(kSlice);
}

bool is_passing(int status) { return status == 408 || status == 429 || status >= 500; }

int retry_after_seconds(const HttpHead& head) {
  constexpr int kLongest = 300;                  // hubs count requests in windows of this length
  std::string text = head.field("retry-after");  // a date in this field is ignored
  if (const std::string limit = head.field("ratelimit"); text.empty() && head.status == 429) {
    // Example: "api";r=0;t=55 (draft-ietf-httpapi-ratelimit-headers-09)
    const std::size_t time = limit.find(";t=");
    if (time != limit.npos) text = limit.substr(time + 3);
  }
  int seconds = 0;
  std::from_chars(text.data(), text.data() + text.size(), seconds);
  return std::clamp(seconds, 0, kLongest);
}

}  // namespace bitaxon::hub
