// Shows the thoughts of a model, <think>...</think>, dimmed while they are streamed.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "bitaxon/chat_template.h"

namespace bitaxon::tool {

class ThoughtDimmer {
 public:
  using Output = std::function<void(std::string_view)>;
  /// `in_thought`: whether the text begins inside of a thought, which the prompt has opened.
  ThoughtDimmer(Output output, bool in_thought);
  /// Adds a piece of the text. A tag may be split among pieces.
  void push(std::string_view text);
  /// Writes what is held back, and ends the dimming.
  void finish();

 private:
  Output output_;
  bool in_thought_;
  std::string held_;
};

/// Whether a chat template has opened a thought at the end of its text.
bool opens_thought(const ChatText& prompt);

}  // namespace bitaxon::tool
