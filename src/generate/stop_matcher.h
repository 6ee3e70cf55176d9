// Finds stop strings in streamed text.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace bitaxon {

/// Takes text as it is generated and lets through what can no longer be part of a stop string.
/// After a stop string was found nothing more comes out.
class StopMatcher {
 public:
  explicit StopMatcher(std::vector<std::string> stops) : stops_(std::move(stops)) {}

  /// Text that is certain now.
  std::string push(std::string_view text);
  /// What was held back, at the end of the text.
  std::string finish();
  bool found() const { return found_; }

 private:
  std::vector<std::string> stops_;
  std::string held_;
  bool found_ = false;
};

}  // namespace bitaxon
