#include "tokenizer/end_of_sequence.h"

#include <algorithm>
#include <string>
#include <utility>

#include "formats/json_file.h"
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

std::optional<std::int32_t> id_named(const Json& value, const TokenLookup& tokens) {
  const std::optional<std::int64_t> id = whole_number(value);
  if (!id || *id < 0 || *id >= tokens.vocab_size) return std::nullopt;
  return static_cast<std::int32_t>(*id);
}

/// Collects ids in the order in which they are added, each id once.
class Ends {
 public:
  explicit Ends(const TokenLookup& tokens) : tokens_(tokens) {}

  void add(std::optional<std::int32_t> id) {
    if (id && std::ranges::find(ids_, *id) == ids_.end()) ids_.push_back(*id);
  }

  void add_named_in(const fs::path& file) {
    if (!optional_file_exists(file)) return;
    const Json json = read_json_file(file);
    if (!json.is_object()) return;
    add_values(json, "eos_token", token_named);
    add_values(json, "eos_token_id", id_named);
  }

  std::vector<std::int32_t> take() { return std::move(ids_); }

 private:
  template <class Find>
  void add_values(const Json& json, const char* key, Find find) {
    const auto found = json.find(key);
    if (found == json.end()) return;
    if (!found->is_array()) return add(find(*found, tokens_));
    for (const Json& item : *found) add(find(item, tokens_));
  }

  const TokenLookup& tokens_;
  std::vector<std::int32_t> ids_;
};

}  // namespace

std::vector<std::int32_t> find_ends_of_sequence(const TokenLookup& tokens,
                                                const fs::path& tokenizer_file) {
  Ends ends(tokens);
  for (const char* token : {"<|im_end|>", "<|endoftext|>", "</s>"})
    if (const auto id = tokens.id_of(token)) {
      ends.add(id);
      break;
    }
  const fs::path folder = tokenizer_file.parent_path();
  std::vector<fs::path> folders = {folder};
  if (folder.filename() == "tokenizer") folders.push_back(folder.parent_path());
  for (const fs::path& where : folders)
    for (const char* file : {"tokenizer_config.json", "special_tokens_map.json",
                             "generation_config.json", "config.json"})
      ends.add_named_in(where / file);
  ends.add(tokens.own);
  return ends.take();
}

}  // namespace bitaxon
