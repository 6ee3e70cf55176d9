// Byte-pair encoding itself: a vocabulary, ranked merges, and the loop that applies the merges.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace bitaxon {

/// The character that stands for a byte in the vocabulary (GPT-2's bytes_to_unicode). A printable
/// Latin-1 character stands for its own byte. Characters from U+0100 on stand for the other bytes.
std::string_view spelling_of(unsigned char byte);
/// `bytes` with each byte as the character that stands for it.
std::string spelled(std::string_view bytes);
/// The bytes that the characters of `token` stand for. If a character stands for no byte, returns
/// `token` unchanged.
std::string bytes_of_spelling(std::string_view token);

/// Token texts with their ids. All texts are in one block, because a vocabulary has 150,000 tokens.
class BpeVocabulary {
 public:
  /// Adds a token. If the vocabulary has `token` already, returns false and changes nothing.
  bool add(std::string_view token, std::int32_t id);
  std::optional<std::int32_t> find(std::string_view token) const;
  std::size_t size() const { return entries_.size(); }
  std::string_view token(std::size_t index) const;
  std::int32_t id(std::size_t index) const { return entries_[index].id; }

 private:
  struct Entry {
    std::uint32_t offset, length;
    std::int32_t id;
  };
  std::size_t slot_of(std::string_view token, std::uint32_t hash) const;
  void grow();

  std::string texts_;
  std::vector<Entry> entries_;
  struct Slot {
    std::uint32_t hash = 0;
    std::uint32_t entry = 0;  ///< index of the entry plus one; 0 for a free slot
  };
  std::vector<Slot> slots_;  ///< open addressing; the size is a power of two; at most half full
};

/// The merges of a tokenizer. A merge has a pair of token ids, the id of the merged token, and a
/// rank.
class MergeTable {
 public:
  struct Merge {
    std::uint32_t rank;
    std::int32_t id;
  };

  explicit MergeTable(std::size_t expected);
  /// Adds a merge. If the pair was added before, the new merge replaces the old one.
  void add(std::int32_t left, std::int32_t right, Merge merge);
  const Merge* find(std::int32_t left, std::int32_t right) const;

 private:
  struct Slot {
    std::uint64_t pair;
    Merge merge;
  };
  std::size_t slot_of(std::uint64_t pair) const;

  std::vector<Slot> slots_;
};

/// Merges adjacent symbols in the order of ranks, leftmost first for equal ranks, until no merge
/// applies. The buffers are reused from word to word. Takes O(n log n) time for a word of n
/// symbols.
class MergeLoop {
 public:
  /// Replaces `symbols` by the merged symbols.
  void run(const MergeTable& merges, std::vector<std::int32_t>& symbols);

 private:
  struct Node {
    std::int32_t id;
    std::int32_t previous, next;  ///< -1 at the ends
    bool joined;                  ///< whether this symbol was merged into the symbol on its left
  };
  struct Candidate {
    std::uint32_t rank;
    std::int32_t at;  ///< node of the left symbol of the pair
    std::int32_t id;  ///< id of the merged symbol
    friend bool operator<(const Candidate& a, const Candidate& b) {
      return a.rank != b.rank ? a.rank > b.rank
                              : a.at > b.at;  // the top of the heap has the lowest rank
    }
  };
  void propose(const MergeTable& merges, std::int32_t at);
  void join(std::int32_t at, std::int32_t id);

  std::vector<Node> nodes_;
  std::vector<Candidate> heap_;
};

}  // namespace bitaxon
