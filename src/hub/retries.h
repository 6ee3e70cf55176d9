// How often and after which pauses something is tried again.
#pragma once

#include <string>

#include "hub/http.h"

namespace bitaxon::hub {

class Retries {
 public:
  explicit Retries(const HttpOptions& options) : options_(options) {}

  /// After a try that brought something.
  void start_over() { n_failed_ = 0; }
  /// After a try that failed: whether another one is left.
  bool is_left() { return ++n_failed_ < kMaxTries; }
  /// "trying again", with the seconds when they are many. `wait_seconds`: what the server asks for;
  /// 0: nothing.
  std::string announcement(int wait_seconds) const;
  /// Waits for the next try. Throws Interrupted.
  void wait(int wait_seconds) const;

  static constexpr int kMaxTries = 5;

 private:
  int pause_ms(int wait_seconds) const;

  HttpOptions options_;
  int n_failed_ = 0;
};

/// Whether a server that answers so may answer otherwise in a while.
bool is_passing(int status);
/// Seconds until a server wants to be asked again, from Retry-After or RateLimit; 0 when it does
/// not tell. Bounded by what anybody waits.
int retry_after_seconds(const HttpHead& head);

}  // namespace bitaxon::hub
