// Strings of a rendering. A string knows which of its bytes come from the user's input.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "bitaxon/chat_template.h"
#include "template/limits.h"

namespace bitaxon::jinja {

class Text;
using TextRef = std::shared_ptr<const Text>;

/// An immutable string in valid UTF-8. Its length and its positions count code points, as in Python.
class Text {
 public:
  Text(std::string bytes, std::vector<TextRange> input, bool markup);

  const std::string& bytes() const { return bytes_; }
  std::string_view view() const { return bytes_; }
  /// The number of code points.
  std::int64_t length() const { return length_; }
  bool is_ascii() const { return length_ == static_cast<std::int64_t>(bytes_.size()); }
  /// The ranges of bytes that come from the input, ascending and disjoint.
  const std::vector<TextRange>& input() const { return input_; }
  /// Whether one of the bytes [begin, end) comes from the input. An empty range takes the mark of its
  /// neighbours.
  bool is_input(std::size_t begin, std::size_t end) const;
  /// Whether the text is marked as safe HTML: then adding other texts to it escapes them.
  bool is_markup() const { return markup_; }
  /// The byte at which code point `index` begins; `index` may be length().
  std::size_t byte_of(std::int64_t index) const;
  /// The number of code points before byte `byte`.
  std::int64_t index_of(std::size_t byte) const;

 private:
  std::string bytes_;
  std::vector<TextRange> input_;
  std::int64_t length_;
  bool markup_;
  Charge charge_;
};

/// Builds a Text piece by piece.
class TextBuilder {
 public:
  TextBuilder() = default;
  ~TextBuilder() { release(); }
  TextBuilder(const TextBuilder&) = delete;
  TextBuilder& operator=(const TextBuilder&) = delete;
  /// Adds text that the template wrote.
  TextBuilder& add(std::string_view text);
  /// Adds text that comes from the input.
  TextBuilder& add_input(std::string_view text);
  TextBuilder& add(const Text& text) { return add(text, 0, text.bytes().size()); }
  /// Adds the bytes [begin, end) of `text`.
  TextBuilder& add(const Text& text, std::size_t begin, std::size_t end);
  /// Adds `text` as input if `input`.
  TextBuilder& add(std::string_view text, bool input) {
    return input ? add_input(text) : add(text);
  }
  std::size_t size() const { return bytes_.size(); }
  TextRef finish(bool markup = false);

 private:
  void grow(std::size_t bytes);
  void release();

  std::string bytes_;
  std::vector<TextRange> input_;
  std::size_t charged_ = 0;  ///< bytes that the meter counts for this text
};

TextRef make_text(std::string bytes, bool input = false);
/// The bytes [begin, end) of `text`. Keeps its marks.
TextRef part_of(const Text& text, std::size_t begin, std::size_t end);
/// A changed copy of `text`: input if any byte of `text` is.
TextRef derived(const Text& text, std::string bytes);

/// The code points of valid UTF-8.
std::u32string code_points(std::string_view text);
/// The code point that begins at byte `at`; moves `at` behind it.
char32_t next_code_point(std::string_view text, std::size_t& at);

/// The first place of `needle` in `text` at or after `from`, in linear time; npos if there is none.
std::size_t find_bytes(std::string_view text, std::string_view needle, std::size_t from = 0);
std::size_t rfind_bytes(std::string_view text, std::string_view needle);

}  // namespace bitaxon::jinja
