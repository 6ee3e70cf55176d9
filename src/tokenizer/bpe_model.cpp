#include "tokenizer/bpe_model.h"

#include <algorithm>
#include <functional>
#include <limits>

namespace bitaxon {

namespace {

constexpr std::int32_t kUnspelled = -1;

struct ByteSpelling {
  std::array<std::string, 256> of_byte;
  std::array<std::int32_t, 0x144> byte_of;  // by code point; every spelling is below U+0144

  ByteSpelling() {
    byte_of.fill(kUnspelled);
    std::int32_t other = 0x100;
    for (std::int32_t byte = 0; byte < 256; ++byte) {
      const bool printable = (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte != 0xAD);
      const std::int32_t c = printable ? byte : other++;
      byte_of[static_cast<std::size_t>(c)] = byte;
      std::string& text = of_byte[static_cast<std::size_t>(byte)];
      if (c >= 0x80) text += static_cast<char>(0xC0 | (c >> 6));
      text += static_cast<char>(c >= 0x80 ? 0x80 | (c & 0x3F) : c);
    }
  }
};

const ByteSpelling& byte_spelling() {
  static const ByteSpelling spelling;
  return spelling;
}

std::uint32_t hash_of(std::string_view text) {
  const std::size_t hash = std::hash<std::string_view>{}(text);
  return static_cast<std::uint32_t>(hash ^ (hash >> 32));
}

constexpr std::uint64_t kNoPair = std::numeric_limits<std::uint64_t>::max();

std::uint64_t pair_of(std::int32_t left, std::int32_t right) {
  return (static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32) |
         static_cast<std::uint32_t>(right);
}

}  // namespace

std::string_view spelling_of(unsigned char byte) { return byte_spelling().of_byte[byte]; }

std::string spelled(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size() * 2);
  for (const char byte : bytes) out += spelling_of(static_cast<unsigned char>(byte));
  return out;
}

std::string bytes_of_spelling(std::string_view token) {
  const ByteSpelling& spelling = byte_spelling();
  std::string bytes;
  for (std::size_t at = 0; at < token.size();) {
    const auto first = static_cast<unsigned char>(token[at]);
    std::size_t c = first;
    std::size_t length = 1;
    if (first >= 0x80) {
      // A spelling has one or two bytes, so a longer character is not a spelling.
      if (first >= 0xE0 || at + 1 == token.size()) return std::string(token);
      c = (std::size_t{first} & 0x1F) << 6 | (static_cast<unsigned char>(token[at + 1]) & 0x3F);
      length = 2;
    }
    if (c >= spelling.byte_of.size() || spelling.byte_of[c] == kUnspelled)
      return std::string(token);
    bytes += static_cast<char>(spelling.byte_of[c]);
    at += length;
  }
  return bytes;
}

std::string_view BpeVocabulary::token(std::size_t index) const {
  const Entry& entry = entries_[index];
  return std::string_view(texts_).substr(entry.offset, entry.length);
}

// The slot of `text`, or the free slot for it.
std::size_t BpeVocabulary::slot_of(std::string_view text, std::uint32_t hash) const {
  std::size_t at = hash & (slots_.size() - 1);
  while (slots_[at].entry != 0 && (slots_[at].hash != hash || token(slots_[at].entry - 1) != text))
    at = (at + 1) & (slots_.size() - 1);
  return at;
}

void BpeVocabulary::grow() {
  std::vector<Slot> old(std::max<std::size_t>(1024, slots_.size() * 2));
  old.swap(slots_);
  for (const Slot& slot : old) {
    if (slot.entry == 0) continue;
    std::size_t at = slot.hash & (slots_.size() - 1);
    while (slots_[at].entry != 0) at = (at + 1) & (slots_.size() - 1);
    slots_[at] = slot;
  }
}

bool BpeVocabulary::add(std::string_view text, std::int32_t id) {
  if (entries_.size() * 2 >= slots_.size()) grow();
  const std::uint32_t hash = hash_of(text);
  Slot& slot = slots_[slot_of(text, hash)];
  if (slot.entry != 0) return false;
  entries_.push_back(
      {static_cast<std::uint32_t>(texts_.size()), static_cast<std::uint32_t>(text.size()), id});
  texts_ += text;
  slot = {hash, static_cast<std::uint32_t>(entries_.size())};
  return true;
}

std::optional<std::int32_t> BpeVocabulary::find(std::string_view text) const {
  if (slots_.empty()) return std::nullopt;
  const std::uint32_t entry = slots_[slot_of(text, hash_of(text))].entry;
  if (entry == 0) return std::nullopt;
  return entries_[entry - 1].id;
}

MergeTable::MergeTable(std::size_t expected) {
  std::size_t size = 16;
  while (size < expected * 2 + 1) size *= 2;
  slots_.assign(size, Slot{kNoPair, {0, 0}});
}

std::size_t MergeTable::slot_of(std::uint64_t pair) const {
  // The multiplier (the golden ratio) spreads adjacent ids. The high bits of the product are well
  // mixed, so they are folded into the low bits.
  const std::uint64_t hash = pair * 0x9E3779B97F4A7C15u;
  std::size_t at = static_cast<std::size_t>(hash ^ (hash >> 32)) & (slots_.size() - 1);
  while (slots_[at].pair != pair && slots_[at].pair != kNoPair) at = (at + 1) & (slots_.size() - 1);
  return at;
}

void MergeTable::add(std::int32_t left, std::int32_t right, Merge merge) {
  const std::uint64_t pair = pair_of(left, right);
  slots_[slot_of(pair)] = {pair, merge};
}

const MergeTable::Merge* MergeTable::find(std::int32_t left, std::int32_t right) const {
  const Slot& slot = slots_[slot_of(pair_of(left, right))];
  return slot.pair == kNoPair ? nullptr : &slot.merge;
}

void MergeLoop::propose(const MergeTable& merges, std::int32_t at) {
  const Node& left = nodes_[static_cast<std::size_t>(at)];
  const Node& right = nodes_[static_cast<std::size_t>(left.next)];
  if (const MergeTable::Merge* merge = merges.find(left.id, right.id))
    heap_.push_back({merge->rank, at, merge->id});
}

void MergeLoop::join(std::int32_t at, std::int32_t id) {
  Node& left = nodes_[static_cast<std::size_t>(at)];
  Node& right = nodes_[static_cast<std::size_t>(left.next)];
  left.id = id;
  left.next = right.next;
  right.joined = true;
  if (right.next >= 0) nodes_[static_cast<std::size_t>(right.next)].previous = at;
}

void MergeLoop::run(const MergeTable& merges, std::vector<std::int32_t>& symbols) {
  const auto n = static_cast<std::int32_t>(symbols.size());
  nodes_.clear();
  heap_.clear();
  for (std::int32_t i = 0; i < n; ++i)
    nodes_.push_back({symbols[static_cast<std::size_t>(i)], i - 1, i + 1 < n ? i + 1 : -1, false});
  for (std::int32_t i = 0; i + 1 < n; ++i) propose(merges, i);
  std::make_heap(heap_.begin(), heap_.end());
  const auto propose_later = [&](std::int32_t at) {
    const std::size_t before = heap_.size();
    propose(merges, at);
    if (heap_.size() > before) std::push_heap(heap_.begin(), heap_.end());
  };
  while (!heap_.empty()) {
    std::pop_heap(heap_.begin(), heap_.end());
    const Candidate top = heap_.back();
    heap_.pop_back();
    const Node& left = nodes_[static_cast<std::size_t>(top.at)];
    if (left.joined || left.next < 0) continue;
    // Another merge may have changed one of the two symbols since this merge was proposed.
    const auto* merge = merges.find(left.id, nodes_[static_cast<std::size_t>(left.next)].id);
    if (merge == nullptr || merge->id != top.id) continue;
    join(top.at, top.id);
    if (left.previous >= 0) propose_later(left.previous);
    if (left.next >= 0) propose_later(top.at);
  }
  symbols.clear();
  for (std::int32_t i = n > 0 ? 0 : -1; i >= 0; i = nodes_[static_cast<std::size_t>(i)].next)
    symbols.push_back(nodes_[static_cast<std::size_t>(i)].id);
}

}  // namespace bitaxon
