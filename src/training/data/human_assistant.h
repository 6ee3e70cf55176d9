// Conversations that are one text: "\n\nHuman: ...\n\nAssistant: ...".
#pragma once

#include <string_view>
#include <vector>

#include "bitaxon/tokenizer.h"

namespace bitaxon {

/// The turns of such a text. `what` begins every message. Throws Error(format) if the text does not
/// begin with a turn.
std::vector<ChatMessage> human_assistant_turns(std::string_view text, std::string_view what);

}  // namespace bitaxon
