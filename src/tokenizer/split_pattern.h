// The regular expressions of tokenizer.json.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace bitaxon {

/// A pattern that cuts text into pieces: each match is a piece, and what lies between matches is
/// one too. Patterns are written for Oniguruma (Ruby syntax, Unicode), which Hugging Face
/// tokenizers uses; here PCRE2 runs them. What both read alike is accepted, what they read
/// differently is rewritten (\s, \S) or refused by name. Immutable; safe to use from several
/// threads.
class SplitPattern {
 public:
  /// `name` begins every message. Throws Error(format) for what is no pattern, Error(unsupported)
  /// for what PCRE2 would read differently.
  SplitPattern(std::string_view pattern, std::string_view name);

  /// Gives `piece` the pieces of `text`, valid UTF-8, in order, empty ones left out.
  /// Throws Error(unsupported) when a match takes more steps than any honest pattern needs.
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
