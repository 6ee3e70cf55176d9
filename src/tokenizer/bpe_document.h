// tokenizer.json as a document: its tree, apart from the two parts that are large.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "formats/json.h"
#include "tokenizer/bpe_model.h"

namespace bitaxon {

/// Where in the document a message points: "tokenizer.json: model.merges[3]".
class Place {
 public:
  explicit Place(std::string_view name) : text_(name) {}
  Place at(std::string_view key) const;
  Place at(std::size_t index) const;

  /// Throws Error(format).
  [[noreturn]] void broken(std::string_view what) const;
  /// Throws Error(unsupported).
  [[noreturn]] void unsupported(std::string_view expected, const Json& got) const;
  const std::string& text() const { return text_; }

  /// A value as a message shows it: a component by its type, what is long cut short.
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

/// Parses the document within the bounds of parse_json, but for its size. The large parts stay out
/// of the tree: an object of 150,000 keys costs quadratic time in one that keeps their order, and
/// memory besides. Throws Error(format).
BpeDocument read_bpe_document(std::string_view json, const Place& place);

}  // namespace bitaxon
