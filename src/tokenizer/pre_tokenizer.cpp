#include "tokenizer/pre_tokenizer.h"

#include <algorithm>

#include "platform/utf8.h"
#include "tokenizer/bpe_model.h"
#include "tokenizer/unicode_classes.h"

namespace bitaxon {

namespace {

using PartSink = std::function<void(TextPart)>;

// A part with its place in a text.
struct Span {
  std::size_t start, end;
  bool is_match;
};

// Each character of the class is a match of its own. All text between two matches is one part.
void for_each_part(Cut::CharacterClass contains, std::string_view text, const PartSink& part) {
  std::size_t done = 0;
  for (std::size_t at = 0; at < text.size();) {
    const Character c = first_character(text.substr(at));
    if (contains(c.code)) {
      if (done < at) part({text.substr(done, at - done), false});
      done = at + c.length;
      part({text.substr(at, c.length), true});
    }
    at += c.length;
  }
  if (done < text.size()) part({text.substr(done), false});
}

void for_each_part(const Cut& cut, std::string_view text, const PartSink& part) {
  const PartSink turned = [&](TextPart found) { part({found.text, !found.is_match}); };
  const PartSink& sink = cut.inverted ? turned : part;
  if (const auto* pattern = std::get_if<SplitPattern>(&cut.matcher)) {
    pattern->for_each_part(text, sink);
  } else {
    for_each_part(std::get<Cut::CharacterClass>(cut.matcher), text, sink);
  }
}

// Joins parts that belong together. The loops follow NormalizedString::split of Hugging Face
// tokenizers, where the first part counts as if it followed text that is no match.
std::vector<Span> joined(std::vector<Span> parts, MatchBehavior behavior) {
  const bool backwards = behavior == MatchBehavior::merged_with_next;
  if (backwards) std::ranges::reverse(parts);
  std::vector<Span> out;
  bool after_match = false;
  for (const Span& part : parts) {
    const bool joins = behavior == MatchBehavior::contiguous ? part.is_match == after_match
                                                             : part.is_match && !after_match;
    if (joins && !out.empty()) {
      out.back() = {std::min(out.back().start, part.start), std::max(out.back().end, part.end),
                    part.is_match};
    } else {
      out.push_back(part);
    }
    after_match = part.is_match;
  }
  if (backwards) std::ranges::reverse(out);
  return out;
}

void apply(const Cut& cut, std::string_view text, const PreTokenizer::Sink& piece) {
  if (cut.behavior == MatchBehavior::isolated || cut.behavior == MatchBehavior::removed) {
    const bool removes = cut.behavior == MatchBehavior::removed;
    return for_each_part(cut, text, [&](TextPart part) {
      if (!part.text.empty() && !(removes && part.is_match)) piece(part.text);
    });
  }
  std::vector<Span> parts;
  for_each_part(cut, text, [&](TextPart part) {
    const auto start = static_cast<std::size_t>(part.text.data() - text.data());
    parts.push_back({start, start + part.text.size(), part.is_match});
  });
  for (const Span& part : joined(std::move(parts), cut.behavior))
    if (part.start < part.end) piece(text.substr(part.start, part.end - part.start));
}

void apply(CutWords, std::string_view text, const PreTokenizer::Sink& piece) {
  enum class Kind { space, word, other };
  std::size_t start = 0;
  Kind kind = Kind::space;
  const auto finish = [&](std::size_t end) {
    if (kind != Kind::space && start < end) piece(text.substr(start, end - start));
  };
  for (std::size_t at = 0; at < text.size();) {
    const Character c = first_character(text.substr(at));
    const Kind next = is_space(c.code) ? Kind::space : is_word(c.code) ? Kind::word : Kind::other;
    if (next != kind) {
      finish(at);
      start = at;
      kind = next;
    }
    at += c.length;
  }
  finish(text.size());
}

void apply(const ByteLevel& level, std::string_view text, const PreTokenizer::Sink& piece) {
  std::string prefixed;
  if (level.adds_space && !text.starts_with(' ')) {
    prefixed.append(1, ' ').append(text);
    text = prefixed;
  }
  if (!level.pattern) return piece(spelled(text));
  level.pattern->for_each_part(text, [&](TextPart part) {
    if (!part.text.empty()) piece(spelled(part.text));
  });
}

void apply(const Metaspace& metaspace, std::string_view text, bool at_start,
           const PreTokenizer::Sink& piece) {
  std::string out;
  for (const char c : text) {
    if (c == ' ') {
      out += metaspace.sign;
    } else {
      out += c;
    }
  }
  const bool wants = metaspace.prepend == Metaspace::Prepend::always ||
                     (metaspace.prepend == Metaspace::Prepend::first && at_start);
  if (wants && !out.starts_with(metaspace.sign)) out.insert(0, metaspace.sign);
  if (!metaspace.cut) return piece(out);
  apply(Cut{*metaspace.cut, MatchBehavior::merged_with_next}, out, piece);
}

}  // namespace

void PreTokenizer::split(std::string_view text, bool at_start, const Sink& piece) const {
  // The pieces of the first `n` steps are cut by the later steps.
  const auto cut_from = [&](const auto& self, std::size_t n, std::string_view part,
                            bool first) -> void {
    if (n == steps.size()) return piece(part);
    const Sink next = [&](std::string_view inner) {
      self(self, n + 1, inner, first);
      first = false;
    };
    const Sink next_in_part = [&](std::string_view inner) {
      self(self, n + 1, inner, first && inner.data() == part.data());
    };
    if (const auto* metaspace = std::get_if<Metaspace>(&steps[n])) {
      apply(*metaspace, part, first, next);
    } else if (const auto* level = std::get_if<ByteLevel>(&steps[n])) {
      apply(*level, part, next);
    } else if (const auto* cut = std::get_if<Cut>(&steps[n])) {
      apply(*cut, part, next_in_part);
    } else {
      apply(CutWords{}, part, next_in_part);
    }
  };
  cut_from(cut_from, 0, text, at_start);
}

}  // namespace bitaxon
