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
  /// After a try that failed: waits and returns true, or returns false when there have been enough.
  /// `wait_seconds`: what the server asks for; 0: nothing. Throws Interrupted.
  bool wait(int wait_seconds = 0);

  static constexpr int kMaxTries = 5;

 private:
  HttpOptions options_;
  int n_failed_ = 0;
};

/// Whether a server that answers so may answer otherwise in a while.
bool is_passing(int status);
/// The Retry-After of an answer in seconds; 0 when there is none, bounded by what anybody waits.
int retry_after_seconds(const HttpHead& head);

}  // namespace bitaxon::hub
