// Tokens that are found in the text before anything else looks at it.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace bitaxon {

struct AddedToken {
  std::int32_t id = 0;
  std::string content;
  bool single_word = false;  ///< only where no word character touches it
  bool lstrip = false;       ///< swallows the white space on its left
  bool rstrip = false;       ///< swallows the white space on its right
  bool normalized = false;   ///< looked for in normalized text, else in the text as it came
  bool special = false;
};

/// Finds added tokens: leftmost first, of those the longest, of equal ones the first added. The
/// order of the steps and their corner cases are those of Hugging Face tokenizers,
/// tokenizer/added_vocabulary.rs, find_matches.
class AddedTokenFinder {
 public:
  /// A piece of text between tokens, or a token (with what it swallowed) when id is not negative.
  struct Segment {
    std::string_view text;
    std::int32_t id;
  };

  AddedTokenFinder();
  /// Makes `token` match where `pattern` stands (its content, normalized if the token is).
  void add(const AddedToken& token, std::string_view pattern);
  /// Segments of `text`, valid UTF-8, in order; none is an empty piece of text.
  std::vector<Segment> split(std::string_view text) const;

 private:
  struct Match {
    std::size_t start, end;
    const AddedToken* token;
  };
  static constexpr std::uint32_t kNone = ~std::uint32_t{0};

  std::uint32_t child_of(std::uint32_t node, char byte) const;
  bool longest_at(std::string_view text, std::size_t start, Match& match) const;

  // A trie over bytes: the token that ends at each node (an index into tokens_, or kNone), edges by
  // (node, byte), and the edges of the root apart, where nearly every search ends.
  std::vector<std::uint32_t> token_at_;
  std::unordered_map<std::uint64_t, std::uint32_t> edges_;
  std::array<std::uint32_t, 256> root_edges_;
  std::vector<AddedToken> tokens_;
};

}  // namespace bitaxon
