// The regular expressions of tokenizer.json.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace bitaxon {

/// A part of a text: a match, or the text between two matches.
struct TextPart {
  std::string_view text;
  bool is_match;
};

/// A pattern that finds matches in text: a regular expression, or a text to look for. Expressions
/// are written for Oniguruma (Ruby syntax, Unicode), which Hugging Face tokenizers uses. This class
/// runs them with PCRE2. It accepts syntax that both engines read alike. It rewrites \s and \S, and
/// refuses all other syntax that the engines read differently. Immutable and thread-safe.
class SplitPattern {
 public:
  /// `name` begins every message. Throws Error(format) for an invalid pattern, Error(unsupported)
  /// for syntax that PCRE2 would read differently.
  SplitPattern(std::string_view pattern, std::string_view name);
  /// A pattern that matches exactly `text`.
  static SplitPattern literal(std::string_view text, std::string_view name);

  /// Calls `part` with all parts of `text`, which is valid UTF-8, in order. Only a match may be
  /// empty. An empty text has no parts. Throws Error(unsupported) when a match takes more steps than a reasonable pattern needs.
  void for_each_part(std::string_view text, const std::function<void(TextPart)>& part) const;

 private:
  struct Code;
  struct Span {
    std::size_t start, end;
  };
  class Search;

  std::shared_ptr<const Code> code_;
  std::string name_;
};

}  // namespace bitaxon
