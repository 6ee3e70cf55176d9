// Finds the token at which a part of a text begins.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "bitaxon/chat_template.h"
#include "bitaxon/tokenizer.h"

namespace bitaxon {

/// The tokens of a text by their places. The arguments of the constructor must outlive the object.
class TokenBorders {
 public:
  /// `ids` are the tokens of `text`. Its ranges of input are encoded without special tokens.
  TokenBorders(const Tokenizer& tokenizer, const ChatText& text, std::span<const std::int32_t> ids);

  /// The first token that begins at byte `at` or later; ids.size() if there is none. A token that
  /// begins before and ends behind `at` belongs to what is before. Throws Error(format) if the
  /// tokenizer changes the text so much that the token is not known.
  std::size_t token_at(std::size_t at) const;
  /// Whether a token begins before byte `at` and ends behind it.
  bool crosses(std::size_t at) const;

 private:
  const Tokenizer& tokenizer_;
  const ChatText& text_;
  std::span<const std::int32_t> ids_;
  std::string decoded_;
  std::vector<std::size_t> ends_;  ///< bytes of decoded_ after each token
};

}  // namespace bitaxon
