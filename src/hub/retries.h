// How often a request is tried again, and how long to pause before each try.
#pragma once

#include <string>

#include "hub/http.h"

namespace bitaxon::hub {

class Retries {
 public:
  explicit Retries(const HttpOptions& options) : options_(options) {}

  /// Call this after a try that made progress.
  void start_over() { n_failed_ = 0; }
  /// Call this after a failed try. Returns whether another try is left.
  bool is_left() { return ++n_failed_ < kMaxTries; }
  /// "trying again", or "trying again in N s" for a long pause. `wait_seconds` is the pause that
  /// the server asks for, or 0.
  std::string announcement(int wait_seconds) const;
  /// Waits until the next try is due. Throws Interrupted.
  void wait(int wait_seconds) const;

  static constexpr int kMaxTries = 5;

 private:
  int pause_ms(int wait_seconds) const;

  HttpOptions options_;
  int n_failed_ = 0;
};

/// Whether this status is a temporary failure, so that a later try may succeed.
bool is_passing(int status);
/// The number of seconds, at most 300, that the server asks the client to wait in the header field
/// Retry-After or RateLimit. 0 when the answer has neither field.
int retry_after_seconds(const HttpHead& head);

}  // namespace bitaxon::hub
