// Conversations as text, and where the contents of messages are in it.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "bitaxon/chat_template.h"
#include "bitaxon/tokenizer.h"

namespace bitaxon {

/// A conversation as text, without the beginning of another answer.
struct ConversationText {
  ChatText chat;
  /// The content of each message in chat.text. Only contents of the assistant are always set.
  std::vector<TextRange> contents;
  /// The byte at which each message begins, and the end of the text. Only for ChatML.
  std::vector<std::size_t> begins;
};

/// Whether the template is the built-in ChatML.
bool is_chatml(const JinjaTemplate& chat_template);

/// Renders a conversation. Throws what JinjaTemplate::render() throws, and Error(format) if the
/// template changes what the assistant says, so that its place is not known.
ConversationText conversation_text(const JinjaTemplate& chat_template,
                                   std::span<const ChatMessage> messages);

/// The byte of `text` at which the model begins to write the answer `index`: where the text ends that
/// asks for it. Empty if that text is not a part of the conversation's.
std::optional<std::size_t> answer_begin(const JinjaTemplate& chat_template,
                                        std::span<const ChatMessage> messages, std::size_t index,
                                        std::string_view text);

}  // namespace bitaxon
