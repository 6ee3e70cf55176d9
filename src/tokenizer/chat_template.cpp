#include "bitaxon/tokenizer.h"

namespace bitaxon {

std::string chat_prompt(std::span<const ChatMessage> messages) {
  std::string prompt;
  for (const ChatMessage& message : messages)
    prompt += "<|im_start|>" + message.role + "\n" + message.content + "<|im_end|>\n";
  return prompt + "<|im_start|>assistant\n";
}

}  // namespace bitaxon
