#include <algorithm>

#include "bitaxon/tokenizer.h"

namespace bitaxon {

std::string chat_prompt(std::span<const ChatMessage> messages, ChatTemplate how) {
  std::string prompt;
  if (how == ChatTemplate::none) {
    for (const ChatMessage& message : messages) prompt += message.content + "\n";
    return prompt;
  }
  for (const ChatMessage& message : messages)
    prompt += "<|im_start|>" + message.role + "\n" + message.content + "<|im_end|>\n";
  return prompt + "<|im_start|>assistant\n";
}

std::string_view turn_end(ChatTemplate how) {
  return how == ChatTemplate::none ? "\n" : "<|im_end|>\n";
}

std::span<const std::string_view> special_tokens(ChatTemplate how) {
  static constexpr std::string_view kChatml[] = {"<|im_start|>", "<|im_end|>"};
  if (how == ChatTemplate::none) return {};
  return kChatml;
}

std::vector<std::string> missing_tokens(ChatTemplate how, const Tokenizer& tokenizer) {
  std::vector<std::string> missing;
  for (const std::string_view token : special_tokens(how)) {
    // A token may be in the vocabulary although encode() never produces it.
    const auto id = tokenizer.token_id(token);
    const std::vector<std::int32_t> ids = tokenizer.encode(token);
    if (!id || std::ranges::find(ids, *id) == ids.end()) missing.emplace_back(token);
  }
  return missing;
}

}  // namespace bitaxon
