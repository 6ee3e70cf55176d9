// The regular expressions of tokenizer.json.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace bitaxon {

/// A pattern that cuts text into pieces. Each match is a piece, and the text between two matches is
/// a piece too. Patterns are written for Oniguruma (Ruby syntax, Unicode), which Hugging Face
/// tokenizers uses. This class runs the patterns with PCRE2. It accepts syntax that both engines
/// read alike. It rewrites \s and \S, and refuses all other syntax that the engines read
/// differently. Immutable and thread-safe.
class SplitPattern {
 public:
  /// `name` begins every message. Throws Error(format) for an invalid pattern, Error(unsupported)
  /// for syntax that PCRE2 would read differently.
  SplitPattern(std::string_view pattern, std::string_view name);

  /// Calls `piece` with the nonempty pieces of `text`, which is valid UTF-8, in order.
  /// Throws Error(unsupported) when a match takes more steps than a reasonable pattern needs.
  void split(std::string_view text, const std::function<void(std::string_view)>& piece) const;

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
