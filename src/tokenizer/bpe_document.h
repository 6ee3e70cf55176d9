// tokenizer.json as a document: a tree of JSON, with the vocabulary and the merges stored
// separately.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "formats/json.h"
#include "tokenizer/bpe_model.h"

namespace bitaxon {

/// A place in the document, for messages: "tokenizer.json: model.merges[3]".
class Place {
 public:
  explicit Place(std::string_view name) : text_(name) {}
  Place at(std::string_view key) const;
  Place at(std::size_t index) const;

  /// Throws Error(format) for a broken document.
  [[noreturn]] void broken(std::string_view what) const;
  /// Throws Error(unsupported) for a value that the program does not support.
  [[noreturn]] void unsupported(std::string_view expected, const Json& got) const;
  [[noreturn]] void unsupported(std::string_view expected) const;
  const std::string& text() const { return text_; }

  /// A value as short text for a message. A component is shown by its type, and a long value is
  /// cut.
  static std::string brief(const Json& value);

 private:
  Place(std::string text, bool inside) : text_(std::move(text)), inside_(inside) {}

  std::string text_;
  bool inside_ = false;
};

struct MergeText {
  std::string left, right;
};

struct BpeDocument {
  Json tree;  ///< with model.vocab and model.merges emptied
  BpeVocabulary vocabulary;
  std::vector<MergeText> merges;
};

/// Parses the document with the limits of parse_json(), except the limit of the size. The
/// vocabulary and the merges are not in the tree, because an ordered object of 150,000 keys takes
/// quadratic time and more memory. Throws Error(format).
BpeDocument read_bpe_document(std::string_view json, const Place& place);

}  // namespace bitaxon
