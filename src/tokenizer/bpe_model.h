// Byte-pair encoding proper: a vocabulary, ranked merges, and the loop that applies them.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace bitaxon {

/// Bytes as the vocabulary spells them: the printable ones of Latin-1 as themselves, the others as
/// U+0100 and on (GPT-2's bytes_to_unicode).
std::string_view spelling_of(unsigned char byte);
/// The bytes that `token` spells, or its own UTF-8 if a character of it spells none.
std::string bytes_of_spelling(std::string_view token);

/// Token texts with their ids. Texts lie in one block, for a vocabulary has 150,000 of them.
class BpeVocabulary {
 public:
  /// False, and nothing changes, if `token` is there already.
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
    std::uint32_t entry = 0;  ///< one more than the index; 0 where the slot is free
  };
  std::vector<Slot> slots_;  ///< open addressing, a power of two, at most half full
};

/// Pairs of token ids that join to a third, by rank.
class MergeTable {
 public:
  struct Merge {
    std::uint32_t rank;
    std::int32_t id;
  };

  explicit MergeTable(std::size_t expected);
  /// A pair that is added again takes the new rank.
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

/// Joins neighbours by rank, of equal ranks the leftmost first, until none joins. Keeps its buffers
/// from word to word; a word of n symbols takes n log n.
class MergeLoop {
 public:
  /// Replaces `symbols` by what they join to.
  void run(const MergeTable& merges, std::vector<std::int32_t>& symbols);

 private:
  struct Node {
    std::int32_t id;
    std::int32_t previous, next;  ///< -1 at the ends
    bool joined;                  ///< now part of its left neighbour
  };
  struct Candidate {
    std::uint32_t rank;
    std::int32_t at;  ///< the left one of the pair
    std::int32_t id;  ///< what it makes
    friend bool operator<(const Candidate& a, const Candidate& b) {
      return a.rank != b.rank ? a.rank > b.rank : a.at > b.at;  // the heap's top is the least
    }
  };
  void propose(const MergeTable& merges, std::int32_t at);
  void join(std::int32_t at, std::int32_t id);

  std::vector<Node> nodes_;
  std::vector<Candidate> heap_;
};

}  // namespace bitaxon
