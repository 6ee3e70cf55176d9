// Finds the chat templates of a model folder.
#include <fmt/format.h>

#include "bitaxon/chat_template.h"
#include "formats/json_file.h"
#include "formats/pointer_file.h"
#include "platform/file.h"
#include "platform/optional_file.h"
#include "platform/printable.h"
#include "template/chat_template_impl.h"

namespace bitaxon {
namespace {

namespace fs = std::filesystem;
using Templates = std::vector<NamedTemplate>;

constexpr const char* kTokenizerConfig = "tokenizer_config.json";
constexpr std::size_t kMaxTemplateFile = std::size_t{4} << 20;

/// The tokenizer_config.json of a model folder. Null if there is none.
Json tokenizer_config_of(const fs::path& folder) {
  const fs::path file = folder / kTokenizerConfig;
  return optional_file_exists(file) ? read_json_file(file) : Json();
}

/// The text of a token: a string, or an object with its content.
std::optional<std::string> token_text(const Json& token) {
  if (token.is_string()) return token.get<std::string>();
  if (!token.is_object() || !token.contains("content") || !token["content"].is_string())
    return std::nullopt;
  return token["content"].get<std::string>();
}

/// Gives `impl` the tokens of `config`, a tokenizer_config.json in `folder`. The tokens that it does
/// not mention come from special_tokens_map.json.
void set_tokens(JinjaTemplate::Impl& impl, const Json& config, const fs::path& folder) {
  const fs::path map_file = folder / "special_tokens_map.json";
  std::optional<Json> map;
  const auto find = [&](const char* key) -> std::optional<std::string> {
    if (config.is_object() && config.contains(key)) return token_text(config[key]);
    if (!map) map = optional_file_exists(map_file) ? read_json_file(map_file) : Json();
    return map->is_object() && map->contains(key) ? token_text((*map)[key]) : std::nullopt;
  };
  impl.bos = find("bos_token");
  impl.eos = find("eos_token");
}

/// The template of a file that is one, such as chat_template.jinja.
Templates read_jinja(const fs::path& file) {
  const std::string source = read_whole_file(file, kMaxTemplateFile);
  refuse_pointer_or_empty(source, file);
  Templates templates;
  templates.push_back(parse_named("default", source));
  return templates;
}

/// The templates of a tokenizer_config.json: none, one, or several with names.
Templates templates_of(const Json& config, const fs::path& file) {
  Templates templates;
  if (!config.is_object() || !config.contains("chat_template")) return templates;
  const Json& value = config["chat_template"];
  if (value.is_null()) return templates;
  if (value.is_string()) {
    if (value.get_ref<const std::string&>().empty())
      fail_template(file.string(), "chat_template: expected a template, got an empty text");
    templates.push_back(parse_named("default", value.get_ref<const std::string&>()));
    return templates;
  }
  if (!value.is_array())
    fail_template(file.string(), "chat_template: expected a text or a list of named templates");
  for (const Json& entry : value) {
    if (!entry.is_object() || !entry.contains("name") || !entry["name"].is_string() ||
        !entry.contains("template") || !entry["template"].is_string())
      fail_template(file.string(), "chat_template: expected objects with a name and a template");
    templates.push_back(parse_named(entry["name"].get<std::string>(),
                                    entry["template"].get_ref<const std::string&>()));
  }
  return templates;
}

/// Refuses a template that cannot be parsed if it is the only one.
std::shared_ptr<const Templates> checked(Templates templates, const fs::path& file) {
  if (templates.size() == 1 && !templates[0].fault.empty())
    fail_template(file.string(), templates[0].fault);
  return std::make_shared<const Templates>(std::move(templates));
}

bool is_json(std::string_view text) {
  text = without_byte_order_mark(text);
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  // A template may begin with {{ or {%, an object of JSON cannot.
  if (first == text.npos || text[first] != '{') return false;
  const std::size_t second = text.find_first_not_of(" \t\r\n", first + 1);
  return second != text.npos && (text[second] == '"' || text[second] == '}');
}

}  // namespace

JinjaTemplate JinjaTemplate::load(const fs::path& file) {
  const std::string text = read_whole_file(file, JsonLimits{}.max_bytes);
  Impl impl;
  impl.origin = file.string();
  if (!is_json(text)) {
    impl.templates = checked(read_jinja(file), file);
    return JinjaTemplate(std::make_shared<const Impl>(std::move(impl)));
  }
  const Json config = read_json_file(file);
  impl.templates = checked(templates_of(config, file), file);
  if (impl.templates->empty()) fail_template(impl.origin, "expected a chat_template, got none");
  set_tokens(impl, config, file.parent_path());
  return JinjaTemplate(std::make_shared<const Impl>(std::move(impl)));
}

JinjaTemplate JinjaTemplate::with_tokens_of(const fs::path& model_directory) const {
  Impl impl = *impl_;
  set_tokens(impl, tokenizer_config_of(model_directory), model_directory);
  return JinjaTemplate(std::make_shared<const Impl>(std::move(impl)));
}

std::optional<JinjaTemplate> JinjaTemplate::find(const fs::path& model_directory) {
  const fs::path config_file = model_directory / kTokenizerConfig;
  const fs::path template_file = model_directory / "chat_template.jinja";
  const Json config = tokenizer_config_of(model_directory);
  Impl impl;
  if (optional_file_exists(template_file)) {
    impl.origin = template_file.string();
    impl.templates = checked(read_jinja(template_file), template_file);
  } else {
    impl.origin = config_file.string();
    impl.templates = checked(templates_of(config, config_file), config_file);
  }
  if (impl.templates->empty()) return std::nullopt;
  set_tokens(impl, config, model_directory);
  return JinjaTemplate(std::make_shared<const Impl>(std::move(impl)));
}

}  // namespace bitaxon
