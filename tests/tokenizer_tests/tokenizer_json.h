// Makes small tokenizer.json files for tests.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/bpe.h"

namespace bitaxon {

inline constexpr std::string_view kQwenPattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

/// The contents of a tokenizer.json. The vocabulary has 256 tokens for the bytes, whose ids are the
/// bytes. From id 256 on, it has the results of `merges`, which have the form "a b". Tests may add
/// tokens and change the document before they call text().
struct TokenizerJson {
  nlohmann::json document;

  explicit TokenizerJson(const std::vector<std::string>& merges = {}) {
    auto vocabulary = nlohmann::json::object();
    for (int byte = 0; byte < 256; ++byte)
      vocabulary[std::string(spelling_of(static_cast<unsigned char>(byte)))] = byte;
    for (std::string token : merges) {
      token.erase(token.find(' '), 1);
      if (!vocabulary.contains(token)) vocabulary[token] = vocabulary.size();
    }
    document = {{"added_tokens", nlohmann::json::array()},
                {"normalizer", {{"type", "NFC"}}},
                {"pre_tokenizer",
                 {{"type", "Sequence"},
                  {"pretokenizers",
                   {{{"type", "Split"},
                     {"pattern", {{"Regex", kQwenPattern}}},
                     {"behavior", "Isolated"},
                     {"invert", false}},
                    {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}}}}}},
                {"post_processor", nullptr},
                {"decoder", {{"type", "ByteLevel"}}},
                {"model", {{"type", "BPE"}, {"vocab", vocabulary}, {"merges", merges}}}};
  }

  nlohmann::json& vocab() { return document["model"]["vocab"]; }
  nlohmann::json& split() { return document["pre_tokenizer"]["pretokenizers"][0]; }

  /// Adds a token and returns its id, which is the next free id. `options` override the default
  /// fields of the token.
  int add(const std::string& content, const nlohmann::json& options = nlohmann::json::object()) {
    const int id = static_cast<int>(vocab().size() + document["added_tokens"].size());
    nlohmann::json token = {{"id", id},        {"content", content}, {"single_word", false},
                            {"lstrip", false}, {"rstrip", false},    {"normalized", false},
                            {"special", false}};
    token.update(options);
    document["added_tokens"].push_back(token);
    return id;
  }

  std::string text() const { return document.dump(); }
  Bpe bpe() const { return bpe_from_json(text(), "tokenizer.json"); }
};

}  // namespace bitaxon
