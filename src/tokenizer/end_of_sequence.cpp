#include "tokenizer/end_of_sequence.h"

#include <string>
#include <vector>

#include "formats/json.h"
#include "platform/file.h"
#include "platform/optional_file.h"

namespace bitaxon {

namespace {

namespace fs = std::filesystem;

std::optional<std::int32_t> token_named(const Json& value, const TokenLookup& tokens) {
  const Json* content = &value;
  if (value.is_object() && value.contains("content")) content = &value["content"];
  if (!content->is_string()) return std::nullopt;
  return tokens.id_of(content->get_ref<const std::string&>());
}

// A number, or a list whose first fitting number counts.
std::optional<std::int32_t> id_named(const Json& value, const TokenLookup& tokens) {
  if (value.is_array()) {
    for (const Json& item : value)
      if (const auto id = item.is_array() ? std::nullopt : id_named(item, tokens)) return id;
    return std::nullopt;
  }
  if (!value.is_number_unsigned()) return std::nullopt;
  const auto id = value.get<std::uint64_t>();
  if (id >= static_cast<std::uint64_t>(tokens.vocab_size)) return std::nullopt;
  return static_cast<std::int32_t>(id);
}

std::optional<std::int32_t> named_in(const fs::path& file, const TokenLookup& tokens) {
  if (!optional_file_exists(file)) return std::nullopt;
  const JsonLimits limits;
  const Json json = parse_json(read_whole_file(file, limits.max_bytes), file.string(), limits);
  if (!json.is_object()) return std::nullopt;
  if (const auto token = json.find("eos_token"); token != json.end())
    if (const auto id = token_named(*token, tokens)) return id;
  if (const auto number = json.find("eos_token_id"); number != json.end())
    if (const auto id = id_named(*number, tokens)) return id;
  return std::nullopt;
}

}  // namespace

std::optional<std::int32_t> find_end_of_sequence(const TokenLookup& tokens,
                                                 const fs::path& tokenizer_file) {
  for (const char* token : {"<|im_end|>", "<|endoftext|>", "</s>"})
    if (const auto id = tokens.id_of(token)) return id;
  const fs::path folder = tokenizer_file.parent_path();
  std::vector<fs::path> folders = {folder};
  if (folder.filename() == "tokenizer") folders.push_back(folder.parent_path());
  for (const fs::path& where : folders)
    for (const char* file : {"tokenizer_config.json", "special_tokens_map.json",
                             "generation_config.json", "config.json"})
      if (const auto id = named_in(where / file, tokens)) return id;
  return std::nullopt;
}

}  // namespace bitaxon
