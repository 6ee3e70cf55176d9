#include "tokenizer/pipeline_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "platform/utf8.h"
#include "tokenizer/component_json.h"
#include "tokenizer/unicode_classes.h"

namespace bitaxon {

void Growth::multiply(std::size_t factor, const Place& place) {
  constexpr std::size_t kMost = 1000;
  product_ *= std::min(factor, kMost + 1);
  if (product_ > kMost)
    place.unsupported(fmt::format("steps that make a text at most {} times as long in all", kMost));
}

namespace {

// Calls `read` for a component that is no Sequence, or for every member of a Sequence. `key` is the
// name of the list of members.
void for_each_component(
    const Json& component, std::string_view key, const Place& place,
    const std::function<void(const Json&, const std::string&, const Place&)>& read) {
  if (component.is_null()) return;
  const std::string type = type_of(component, place);
  if (type != "Sequence") return read(component, type, place);
  const Json& list = list_field(component, key, place);
  for (std::size_t i = 0; i < list.size(); ++i) {
    if (list[i].is_null()) place.at(key).at(i).broken("expected an object with a type, got null");
    for_each_component(list[i], key, place.at(key).at(i), read);
  }
}

// A pattern, {"String": ...} or {"Regex": ...}. `shortest` is the least length of a match that is
// known.
SplitPattern read_pattern(const Json& component, const Place& place, std::size_t& shortest) {
  const Json& pattern = field(component, "pattern");
  const Place at = place.at("pattern");
  shortest = 0;
  if (pattern.is_object() && pattern.size() == 1) {
    if (pattern.contains("Regex")) return {text_field(pattern, "Regex", at), place.text()};
    if (pattern.contains("String")) {
      const std::string text = text_field(pattern, "String", at);
      shortest = text.size();
      return SplitPattern::literal(text, place.text());
    }
  }
  at.broken("expected {\"String\": ...} or {\"Regex\": ...}, got " + place.brief(pattern));
}

Replace read_replace(const Json& component, const Place& place, Growth& growth) {
  std::size_t shortest = 0;
  SplitPattern pattern = read_pattern(component, place, shortest);
  std::string content = text_field(component, "content", place);
  if (shortest == 0) {
    growth.multiply(content.size() + 1, place);
  } else {
    growth.multiply(std::max<std::size_t>(1, (content.size() + shortest - 1) / shortest), place);
  }
  return {std::move(pattern), std::move(content)};
}

MatchBehavior read_behavior(const Json& component, const Place& place, MatchBehavior otherwise) {
  const Json& behavior = field(component, "behavior");
  if (behavior.is_null()) return otherwise;
  constexpr std::pair<std::string_view, MatchBehavior> kNames[] = {
      {"Removed", MatchBehavior::removed},
      {"Isolated", MatchBehavior::isolated},
      {"MergedWithPrevious", MatchBehavior::merged_with_previous},
      {"MergedWithNext", MatchBehavior::merged_with_next},
      {"Contiguous", MatchBehavior::contiguous}};
  for (const auto& [name, value] : kNames)
    if (behavior == name) return value;
  place.at("behavior")
      .unsupported(
          "\"Removed\", \"Isolated\", \"MergedWithPrevious\", \"MergedWithNext\" or \"Contiguous\"",
          behavior);
}

Metaspace::Prepend read_prepend_scheme(const Json& component, const Place& place) {
  // Old files have add_prefix_space instead.
  const bool adds = flag(component, "add_prefix_space", true, place);
  const Json& scheme = field(component, "prepend_scheme");
  if (scheme.is_null() || scheme == "always")
    return adds ? Metaspace::Prepend::always : Metaspace::Prepend::never;
  if (scheme == "first") return Metaspace::Prepend::first;
  if (scheme == "never") return Metaspace::Prepend::never;
  place.at("prepend_scheme").unsupported("\"always\", \"first\" or \"never\"", scheme);
}

Metaspace read_metaspace(const Json& component, const Place& place) {
  Metaspace out;
  out.sign = character_field(component, "replacement", place);
  out.prepend = read_prepend_scheme(component, place);
  if (flag(component, "split", true, place))
    out.cut = SplitPattern::literal(out.sign, place.text());
  return out;
}

ByteLevel read_byte_level(const Json& component, const Place& place) {
  ByteLevel out;
  out.adds_space = flag(component, "add_prefix_space", true, place);
  if (flag(component, "use_regex", true, place)) out.pattern.emplace(kGpt2Pattern, place.text());
  return out;
}

Cut read_split(const Json& component, const Place& place) {
  std::size_t shortest = 0;
  return {read_pattern(component, place, shortest),
          read_behavior(component, place, MatchBehavior::isolated),
          flag(component, "invert", false, place)};
}

Cut read_punctuation(const Json& component, const Place& place) {
  return {is_punctuation, read_behavior(component, place, MatchBehavior::isolated)};
}

Cut read_digits(const Json& component, const Place& place) {
  const bool single = flag(component, "individual_digits", false, place);
  return {is_digit, single ? MatchBehavior::isolated : MatchBehavior::contiguous};
}

Cut read_delimiter(const Json& component, const Place& place) {
  return {SplitPattern::literal(character_field(component, "delimiter", place), place.text()),
          MatchBehavior::removed};
}

// [text, id], as BertProcessing and RobertaProcessing name a token.
std::int32_t read_pair(const Json& component, std::string_view key, const Place& place) {
  const Json& pair = list_field(component, key, place);
  if (pair.size() != 2) place.at(key).broken("expected [\"a token\", id]");
  return id_of(pair[1], place.at(key).at(1));
}

// The ids of a SpecialToken in a template.
void append_ids(const Json& component, const Json& item, const Place& place,
                const Place& item_place, std::vector<std::int32_t>& out) {
  const std::string name = text_field(item, "id", item_place);
  const Json& token = field(field(component, "special_tokens"), name);
  const Place at = place.at("special_tokens").at(name);
  if (!token.is_object()) at.broken("expected an object, got " + place.brief(token));
  const Json& ids = list_field(token, "ids", at);
  for (std::size_t i = 0; i < ids.size(); ++i) out.push_back(id_of(ids[i], at.at("ids").at(i)));
}

AddedAround read_template(const Json& component, const Place& place) {
  AddedAround out;
  const Json& list = list_field(component, "single", place);
  bool after = false;
  for (std::size_t i = 0; i < list.size(); ++i) {
    const Place at = place.at("single").at(i);
    const Json& text = field(list[i], "Sequence");
    const Json& token = field(list[i], "SpecialToken");
    if (token.is_object()) {
      append_ids(component, token, place, at, after ? out.after : out.before);
    } else if (text.is_object() && field(text, "id") == "A" && !after) {
      after = true;
    } else {
      at.unsupported("SpecialTokens around one Sequence A", list[i]);
    }
  }
  if (!after) place.at("single").unsupported("SpecialTokens around one Sequence A", list);
  return out;
}

}  // namespace

Normalizer read_normalizer(const Json& component, const Place& place, Growth& growth) {
  Normalizer out;
  for_each_component(
      component, "normalizers", place,
      [&](const Json& json, const std::string& type, const Place& at) {
        constexpr std::pair<std::string_view, NormalizationForm> kForms[] = {
            {"NFC", NormalizationForm::nfc},
            {"NFD", NormalizationForm::nfd},
            {"NFKC", NormalizationForm::nfkc},
            {"NFKD", NormalizationForm::nfkd}};
        for (const auto& [name, form] : kForms)
          if (type == name) return void(out.steps.emplace_back(form));
        if (type == "Prepend") {
          std::string text = text_field(json, "prepend", at);
          growth.multiply(text.size() + 1, at);
          out.steps.emplace_back(Prepend{std::move(text)});
        } else if (type == "Replace") {
          out.steps.emplace_back(read_replace(json, at, growth));
        } else if (type == "Strip") {
          out.steps.emplace_back(
              StripSpace{flag(json, "strip_left", true, at), flag(json, "strip_right", true, at)});
        } else if (type == "ByteLevel") {
          growth.multiply(2, at);
          out.steps.emplace_back(SpellBytes{});
        } else {
          at.unsupported("NFC, NFD, NFKC, NFKD, Prepend, Replace, Strip, ByteLevel or null", json);
        }
      });
  return out;
}

PreTokenizer read_pre_tokenizer(const Json& component, const Place& place, Growth& growth) {
  PreTokenizer out;
  for_each_component(
      component, "pretokenizers", place,
      [&](const Json& json, const std::string& type, const Place& at) {
        if (type == "Split") {
          out.steps.emplace_back(read_split(json, at));
        } else if (type == "ByteLevel") {
          out.steps.emplace_back(read_byte_level(json, at));
          growth.multiply(4, at);  // a space for a piece of one byte, then two bytes for each
        } else if (type == "Metaspace") {
          out.steps.emplace_back(read_metaspace(json, at));
          growth.multiply(5, at);  // a sign of four bytes for a piece of one byte
        } else if (type == "Punctuation") {
          out.steps.emplace_back(read_punctuation(json, at));
        } else if (type == "Digits") {
          out.steps.emplace_back(read_digits(json, at));
        } else if (type == "Whitespace") {
          out.steps.emplace_back(CutWords{});
        } else if (type == "WhitespaceSplit") {
          out.steps.emplace_back(Cut{is_space, MatchBehavior::removed});
        } else if (type == "CharDelimiterSplit") {
          out.steps.emplace_back(read_delimiter(json, at));
        } else {
          at.unsupported(
              "Split, ByteLevel, Metaspace, Punctuation, Digits, Whitespace, WhitespaceSplit, "
              "CharDelimiterSplit or null",
              json);
        }
      });
  constexpr std::size_t kMaxSteps = 64;  // each step is a level of the stack
  if (out.steps.size() > kMaxSteps) place.unsupported(fmt::format("at most {} steps", kMaxSteps));
  return out;
}

AddedAround read_post_processor(const Json& component, const Place& place) {
  AddedAround out;
  for_each_component(
      component, "processors", place,
      [&](const Json& json, const std::string& type, const Place& at) {
        AddedAround added;
        if (type == "TemplateProcessing") {
          added = read_template(json, at);
        } else if (type == "BertProcessing" || type == "RobertaProcessing") {
          added = {{read_pair(json, "cls", at)}, {read_pair(json, "sep", at)}};
        } else if (type !=
                   "ByteLevel") {  // ByteLevel changes offsets only, which nobody reads here
          at.unsupported("TemplateProcessing, BertProcessing, RobertaProcessing, ByteLevel or null",
                         json);
        }
        if (added.before.empty() && added.after.empty()) return;
        // tokenizers gives the parts of the first one to the second one, each as a text of its own.
        if (!out.before.empty() || !out.after.empty())
          at.unsupported("at most one post-processor that adds tokens");
        out = std::move(added);
      });
  return out;
}

TokenDecoder read_decoder(const Json& component, const Place& place) {
  TokenDecoder out;
  Growth growth;
  if (component.is_null()) out.steps.emplace_back(TokenDecoder::Spaces{});
  for_each_component(
      component, "decoders", place,
      [&](const Json& json, const std::string& type, const Place& at) {
        if (type == "ByteLevel") {
          out.steps.emplace_back(TokenDecoder::SpelledBytes{});
        } else if (type == "ByteFallback") {
          out.steps.emplace_back(TokenDecoder::ByteTokens{});
        } else if (type == "Fuse") {
          out.steps.emplace_back(TokenDecoder::Fuse{});
        } else if (type == "Replace") {
          out.steps.emplace_back(read_replace(json, at, growth));
        } else if (type == "Strip") {
          const auto count = [&](const char* key) {
            return static_cast<std::size_t>(id_of(field(json, key), at.at(key)));
          };
          out.steps.emplace_back(TokenDecoder::Strip{character_field(json, "content", at),
                                                     count("start"), count("stop")});
        } else if (type == "Metaspace") {
          const Metaspace metaspace = read_metaspace(json, at);
          out.steps.emplace_back(
              TokenDecoder::Signs{metaspace.sign, metaspace.prepend != Metaspace::Prepend::never});
        } else {
          at.unsupported("ByteLevel, ByteFallback, Fuse, Replace, Strip, Metaspace or null", json);
        }
      });
  constexpr std::size_t kMaxSteps = 64;  // each step is a level of the stack
  if (out.steps.size() > kMaxSteps) place.unsupported(fmt::format("at most {} steps", kMaxSteps));
  return out;
}

}  // namespace bitaxon
