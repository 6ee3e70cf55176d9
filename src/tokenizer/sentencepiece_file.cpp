#include "tokenizer/sentencepiece_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "bitaxon/error.h"
#include "platform/utf8.h"

namespace bitaxon {

namespace {

[[noreturn]] void broken(std::string_view name, std::string_view what) {
  throw Error(ErrorKind::format, fmt::format("{}: SentencePiece model: {}", name, what));
}

// One field of a protocol buffer message: a number, or a run of bytes. Fixed-width fields are
// stored as bytes.
struct Field {
  std::uint64_t number = 0;
  std::uint64_t value = 0;
  std::string_view bytes;
  std::string_view whole;  // the whole field, with its tag
};

// Walks the fields of one message (protocol buffers, "Encoding").
class Fields {
 public:
  Fields(std::string_view message, std::string_view name)
      : begin_(message.data()), left_(message), name_(name) {}

  bool next(Field& field) {
    if (left_.empty()) return false;
    const std::string_view before = left_;
    const std::uint64_t tag = varint();
    field = {};
    field.number = tag >> 3;
    if (field.number == 0) fail();
    switch (tag & 7) {
      case 0:
        field.value = varint();
        break;
      case 1:
        field.bytes = take(8);
        break;
      case 2:
        field.bytes = take(varint());
        break;
      case 5:
        field.bytes = take(4);
        break;
      default:
        fail();  // a group, which is never used in a tokenizer.model
    }
    field.whole = before.substr(0, before.size() - left_.size());
    return true;
  }

 private:
  [[noreturn]] void fail() const {
    broken(name_,
           fmt::format("not a protocol buffer at byte {} of a message", left_.data() - begin_));
  }

  std::uint64_t varint() {
    std::uint64_t value = 0;
    for (int shift = 0; shift < 70; shift += 7) {
      const auto byte = static_cast<unsigned char>(take(1)[0]);
      value |= static_cast<std::uint64_t>(byte & 0x7F) << std::min(shift, 63);
      if (byte < 0x80) return value;
    }
    fail();
  }

  std::string_view take(std::uint64_t n) {
    if (n > left_.size()) fail();
    const std::string_view bytes = left_.substr(0, n);
    left_.remove_prefix(n);
    return bytes;
  }

  const char* begin_;
  std::string_view left_;
  std::string_view name_;
};

// Checks the double array of darts-clone (darts.h, DoubleArrayUnit). All 256 steps from every state
// that a text can reach must stay inside the array. Every value must be inside the replacements. No
// path through the array may hold more values than the library has room for
// (Normalizer::kMaxTrieResultsSize).
class CharacterMapCheck {
 public:
  CharacterMapCheck(std::string_view trie, std::size_t values, std::string_view name)
      : trie_(trie), size_(trie.size() / 4), values_(values), name_(name), seen_(size_, kNew) {}

  void run() {
    if (size_ == 0) fail();
    depth_of_values(offset(unit(0)), 0);
  }

 private:
  static constexpr int kMaxValues = 32;
  static constexpr int kMaxDepth = 1024;  // most bytes of a replaced sequence
  static constexpr std::int8_t kNew = -1;
  static constexpr std::int8_t kOpen = -2;

  [[noreturn]] void fail() const { broken(name_, "the character map is broken"); }

  std::uint32_t unit(std::size_t at) const {
    std::uint32_t value = 0;
    for (std::size_t i = 4; i-- > 0;)
      value = value << 8 | static_cast<unsigned char>(trie_[at * 4 + i]);
    return value;
  }
  static bool has_value(std::uint32_t unit) { return (unit >> 8 & 1) != 0; }
  static std::uint32_t label(std::uint32_t unit) { return unit & (1U << 31 | 0xFF); }
  static std::uint32_t value(std::uint32_t unit) { return unit & ~(1U << 31); }
  static std::uint32_t offset(std::uint32_t unit) { return unit >> 10 << ((unit & 1U << 9) >> 6); }

  // `base` identifies a state, whose children are at base ^ label. Returns the largest number of
  // values on a path below this state.
  int depth_of_values(std::uint32_t base, int depth) {
    if (depth > kMaxDepth || (base | 0xFF) >= size_ || seen_[base] == kOpen) fail();
    if (seen_[base] != kNew) return seen_[base];
    seen_[base] = kOpen;
    int most = 0;
    for (std::uint32_t byte = 0; byte < 256; ++byte) {
      const std::uint32_t child = unit(base ^ byte);
      if (label(child) != byte) continue;
      const std::uint32_t next = base ^ byte ^ offset(child);
      if (next >= size_) fail();
      if (has_value(child) && value(unit(next)) >= values_) fail();
      most = std::max(most, depth_of_values(next, depth + 1) + (has_value(child) ? 1 : 0));
    }
    if (most > kMaxValues) fail();
    seen_[base] = static_cast<std::int8_t>(most);
    return most;
  }

  std::string_view trie_;
  std::size_t size_;
  std::size_t values_;
  std::string_view name_;
  std::vector<std::int8_t> seen_;
};

// Checks a character map. It consists of the size of the trie (4 bytes, little-endian), the trie,
// and the replacements. Each replacement ends with a zero.
void check_character_map(std::string_view map, std::string_view name) {
  if (map.empty()) return;
  std::size_t trie_bytes = 0;
  for (std::size_t i = 4; i-- > 0;)
    trie_bytes = trie_bytes << 8 | (i < map.size() ? static_cast<unsigned char>(map[i]) : 0xFFU);
  if (map.size() < 4 || trie_bytes >= map.size() - 4 || trie_bytes % 4 != 0 || map.back() != '\0')
    broken(name, "the character map is broken");
  CharacterMapCheck(map.substr(4, trie_bytes), map.size() - 4 - trie_bytes, name).run();
}

void read_normalizer(std::string_view message, std::string_view name, SentencePieceFile& file) {
  std::string_view map;  // the last map counts, as for every field that is not a list
  Fields fields(message, name);
  for (Field field; fields.next(field);) {
    if (field.number == 2) map = field.bytes;
    if (field.number == 3) file.add_dummy_prefix = field.value != 0;
    if (field.number == 4) file.remove_extra_whitespaces = field.value != 0;
  }
  check_character_map(map, name);
}

void check_denormalizer(std::string_view message, std::string_view name) {
  Fields fields(message, name);
  for (Field field; fields.next(field);)
    if (field.number == 2 && !field.bytes.empty())
      throw Error(ErrorKind::unsupported,
                  fmt::format("{}: SentencePiece model: expected no denormalizer_spec", name));
}

void read_trainer(std::string_view message, std::string_view name, SentencePieceFile& file) {
  Fields fields(message, name);
  for (Field field; fields.next(field);)
    if (field.number == 44) file.unknown_surface = to_valid_utf8(field.bytes);
}

// Refuses pieces that the library cannot handle. It builds its trie by recursion over a piece, so a
// long piece would overflow the stack. It takes a zero byte as the end of a piece.
void check_piece(std::string_view message, std::string_view name) {
  constexpr std::size_t kMaxPieceBytes = 8000;
  Fields fields(message, name);
  std::string_view piece;
  for (Field field; fields.next(field);)
    if (field.number == 1) piece = field.bytes;
  if (piece.empty() || piece.size() >= kMaxPieceBytes || piece.find('\0') != piece.npos)
    broken(name,
           fmt::format("the piece {} is empty, too long or has a zero byte", in_quotes(piece)));
}

}  // namespace

SentencePieceFile read_sentencepiece_file(std::string_view bytes, std::string_view name) {
  enum : std::uint64_t {
    kPieces = 1,
    kTrainer = 2,
    kNormalizer = 3,
    kSelfTest = 4,
    kDenormalizer = 5
  };
  SentencePieceFile file;
  file.model.reserve(bytes.size());
  // If a file has two messages with the same number, the library merges them field by field. No
  // writer makes such files. They are refused, because a check would have to merge the messages
  // too.
  bool has_trainer = false;
  bool has_normalizer = false;
  std::size_t n_pieces = 0;
  Fields fields(bytes, name);
  for (Field field; fields.next(field);) {
    if (field.number == kPieces) {
      check_piece(field.bytes, name);
      ++n_pieces;
    } else if (field.number == kTrainer) {
      if (std::exchange(has_trainer, true)) broken(name, "two trainer_spec");
      read_trainer(field.bytes, name, file);
    } else if (field.number == kNormalizer) {
      if (std::exchange(has_normalizer, true)) broken(name, "two normalizer_spec");
      read_normalizer(field.bytes, name, file);
    } else if (field.number == kDenormalizer) {
      check_denormalizer(field.bytes, name);
    }
    if (field.number != kSelfTest) file.model += field.whole;
  }
  if (n_pieces == 0) broken(name, "it has no pieces");
  return file;
}

}  // namespace bitaxon
