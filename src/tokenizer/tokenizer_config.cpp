#include "tokenizer/tokenizer_config.h"

#include <fmt/format.h>

#include <charconv>
#include <unordered_set>

#include "formats/json_file.h"
#include "platform/optional_file.h"
#include "platform/utf8.h"
#include "tokenizer/bpe.h"
#include "tokenizer/component_json.h"

namespace bitaxon {

namespace {

std::int32_t id_of_key(const std::string& key, const Place& place) {
  std::int32_t id = -1;
  const char* end = key.data() + key.size();
  const auto parsed = std::from_chars(key.data(), end, id);
  if (parsed.ec != std::errc() || parsed.ptr != end || id < 0 || id >= kMaxTokenIds)
    place.broken(fmt::format("expected an id from 0 to {}", kMaxTokenIds - 1));
  return id;
}

std::vector<AddedToken> read_added_tokens(const Json& list, const Place& place) {
  std::vector<AddedToken> tokens;
  if (list.is_null()) return tokens;
  if (!list.is_object()) place.broken("expected an object, got " + place.brief(list));
  std::unordered_set<std::string> contents;
  for (const auto& [key, json] : list.items()) {
    const Place at = place.at(key);
    AddedToken token = read_added_token(json, at);
    token.id = id_of_key(key, at);
    if (token.content.empty()) continue;
    if (!contents.insert(token.content).second)
      at.broken(fmt::format("the token {} appears twice", in_quotes(token.content)));
    tokens.push_back(std::move(token));
  }
  return tokens;
}

// The classes of Llama add the token unless the file says otherwise.
bool adds_beginning(const Json& json, const Place& place) {
  const Json& type = field(json, "tokenizer_class");
  const bool otherwise = type == "LlamaTokenizer" || type == "LlamaTokenizerFast";
  return flag(json, "add_bos_token", otherwise, place);
}

std::optional<std::string> read_beginning(const Json& json, const Place& place) {
  if (!adds_beginning(json, place)) return std::nullopt;
  const Json& token = field(json, "bos_token");
  if (token.is_null()) return std::nullopt;
  if (token.is_object()) return text_field(token, "content", place.at("bos_token"));
  return text_field(json, "bos_token", place);
}

}  // namespace

TokenizerConfig read_tokenizer_config(const std::filesystem::path& folder) {
  const std::filesystem::path file = folder / "tokenizer_config.json";
  if (!optional_file_exists(file)) return {};
  const Json json = read_json_file(file);
  if (!json.is_object()) return {};
  const Place place{file.string()};
  return {read_added_tokens(field(json, "added_tokens_decoder"), place.at("added_tokens_decoder")),
          read_beginning(json, place)};
}

}  // namespace bitaxon
