#include "tokenizer/normalizer.h"

#include "platform/utf8.h"
#include "tokenizer/bpe_model.h"
#include "tokenizer/unicode_classes.h"

namespace bitaxon {

namespace {

struct Apply {
  std::string& text;
  bool& keeps_start;

  void operator()(NormalizationForm form) const { text = normalized(text, form); }
  void operator()(const Replace& replace) const { text = replace.apply(text, keeps_start); }
  void operator()(const Prepend& prepend) const {
    if (!text.empty()) text.insert(0, prepend.text);
  }
  void operator()(StripSpace strip) const {
    while (strip.right && !text.empty()) {
      const Character last = last_character(text);
      if (!is_space(last.code)) break;
      text.resize(text.size() - last.length);
    }
    std::size_t start = 0;
    while (strip.left && start < text.size()) {
      const Character first = first_character(std::string_view(text).substr(start));
      if (!is_space(first.code)) break;
      start += first.length;
    }
    if (start > 0) keeps_start = false;
    text.erase(0, start);
  }
  void operator()(SpellBytes) const { text = spelled(text); }
};

}  // namespace

std::string Replace::apply(std::string_view text, bool& keeps_start) const {
  std::string out;
  pattern.for_each_part(text, [&](TextPart part) {
    out += part.is_match ? content : part.text;
    // A replacement counts as the last character that it replaces.
    const bool at_start = part.is_match && part.text.data() == text.data() && !part.text.empty();
    if (at_start && (content.empty() || first_character(part.text).length < part.text.size()))
      keeps_start = false;
  });
  return out;
}

std::string Normalizer::apply(std::string_view text, bool& keeps_start) const {
  std::string out(text);
  for (const Step& step : steps) std::visit(Apply{out, keeps_start}, step);
  return out;
}

}  // namespace bitaxon
