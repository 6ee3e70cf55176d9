// Added tokens. The tokenizer finds them in the text before any other step.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "bitaxon/tokenizer.h"

namespace bitaxon {

struct AddedToken {
  std::int32_t id = 0;
  std::string content;
  bool single_word = false;  ///< matches only with no word character next to it
  bool lstrip = false;       ///< also takes the white space on its left
  bool rstrip = false;       ///< also takes the white space on its right
  bool normalized = false;   ///< whether to search in the normalized text, not in the original
  bool special = false;
};

/// Where special tokens are plain text.
struct PlainText {
  bool everywhere = false;
  std::span<const TextRange> ranges = {};  ///< in ascending order

  /// Whether a special token from byte `begin` to byte `end` is plain text.
  bool covers(std::size_t begin, std::size_t end) const;
  /// Whether a range has a byte from `begin` to `end`.
  bool meets(std::size_t begin, std::size_t end) const;
};

/// Finds added tokens. The leftmost match wins, then the longest, then the token that was added
/// first. The order of the steps and the corner cases follow Hugging Face tokenizers,
/// tokenizer/added_vocabulary.rs, find_matches.
class AddedTokenFinder {
 public:
  /// A piece of the text. If id >= 0, an added token with the white space that it takes. Otherwise
  /// the text between two added tokens.
  struct Segment {
    std::string_view text;
    std::int32_t id;
  };

  AddedTokenFinder();
  /// Adds a token to find. `pattern` is the token's content, in normalized form if token.normalized
  /// is set.
  void add(const AddedToken& token, std::string_view pattern);
  /// The segments of `text`, which is valid UTF-8, in order. Text segments are not empty. Tokens
  /// inside of a special token that is plain text are not found either.
  std::vector<Segment> split(std::string_view text, const PlainText& plain) const;

 private:
  struct Match {
    std::size_t start, end;
    const AddedToken* token;
  };
  static constexpr std::uint32_t kNone = ~std::uint32_t{0};

  std::uint32_t child_of(std::uint32_t node, char byte) const;
  bool longest_at(std::string_view text, std::size_t start, Match& match) const;

  // A trie over bytes: the token that ends at each node (an index into tokens_, or kNone), and the
  // edges by (node, byte). The edges of the root are stored separately, because nearly every search
  // ends there.
  std::vector<std::uint32_t> token_at_;
  std::unordered_map<std::uint64_t, std::uint32_t> edges_;
  std::array<std::uint32_t, 256> root_edges_;
  std::vector<AddedToken> tokens_;
};

}  // namespace bitaxon
