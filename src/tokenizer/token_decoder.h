// The decoders of tokenizer.json: they turn tokens into text, one token at a time.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "tokenizer/normalizer.h"

namespace bitaxon {

/// A list of steps. Each step reads the tokens that the previous step makes, and the text is all
/// tokens of the last step. A step gives text away as soon as later tokens cannot change it. Many
/// steps need a whole token for that, and some make one token of all.
class TokenDecoder {
 public:
  /// ByteLevel: makes one token of all. A token whose characters all spell bytes stands for these
  /// bytes, any other token for itself. Invalid bytes become U+FFFD.
  struct SpelledBytes {};
  /// ByteFallback: a run of tokens such as <0x4A> is one token. If the bytes of the whole run are not
  /// UTF-8, each of them is U+FFFD. So a run gives no text before its end.
  struct ByteTokens {};
  /// Makes one token of all.
  struct Fuse {};
  /// Removes up to `start` signs from the start of each token, and `stop` from its end.
  struct Strip {
    std::string sign;  ///< one character
    std::size_t start = 0, stop = 0;
  };
  /// Metaspace: writes a space for each sign. If `drops_first`, the first token loses its signs.
  struct Signs {
    std::string sign;  ///< one character
    bool drops_first = true;
  };
  /// Writes a space between two tokens. Without a decoder tokenizers does this.
  struct Spaces {};
  using Step = std::variant<SpelledBytes, ByteTokens, Fuse, Replace, Strip, Signs, Spaces>;

  /// What the steps keep between two tokens.
  struct Memory {
    std::string token;        ///< the beginning of a token
    std::string bytes;        ///< bytes that are no text yet
    std::size_t removed = 0;  ///< signs removed from the start of this token
    bool at_first = true;     ///< no token has ended yet
    bool at_start = true;     ///< only signs of this token have been seen
  };
  using State = std::vector<Memory>;  ///< empty at the start of a text

  std::vector<Step> steps;

  /// Appends to `out` the text that `token` completes.
  void push(State& state, std::string_view token, std::string& out) const;
  /// Appends the rest of the text, and makes `state` ready for another text.
  void finish(State& state, std::string& out) const;

 private:
  class Run;
};

}  // namespace bitaxon
