// Finds stop strings in streamed text.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace bitaxon {

/// Takes text as it is generated, and returns the text that cannot be part of a stop string.
/// Returns no more text after a stop string was found.
class StopMatcher {
 public:
  explicit StopMatcher(std::vector<std::string> stops) : stops_(std::move(stops)) {}

  /// Adds generated text. Returns text, old or new, that cannot be part of a stop string.
  std::string push(std::string_view text);
  /// Ends the text. Returns the text that push() has held back.
  std::string finish();
  bool found() const { return found_; }

 private:
  std::vector<std::string> stops_;
  std::string held_;
  bool found_ = false;
};

}  // namespace bitaxon
