#include <fmt/format.h>

#include "bitaxon/c/bitaxon.h"
#include "c_abi/loaded_model.h"
#include "c_abi/structs.h"
#include "formats/json.h"
#include "session/model_source.h"

using namespace bitaxon;
using namespace bitaxon::c;

namespace {

std::shared_ptr<const TextTools> open_text_tools(const std::string& name) {
  if (name.empty()) refuse("name: expected a tokenizer, got none");
  FoundModel no_model{.request = {.tokenizer = name}};
  read_tokenizer(no_model);
  std::filesystem::path folder = find_tokenizer_path(name, no_model.request.tokenizer_argument);
  std::error_code ignored;  // read_tokenizer() has read a file there
  if (!std::filesystem::is_directory(folder, ignored)) folder = folder.parent_path();
  if (folder.empty()) folder = ".";
  return std::make_shared<const TextTools>(
      TextTools{Vocabulary(*no_model.tokenizer, "", INT32_MAX), folder});
}

const TextTools& text_tools_of(bitaxon_tokenizer* handle) {
  return *not_null(handle, "tokenizer").text;
}

/// The chat template of the folder, or ChatML.
JinjaTemplate chat_template_of(const TextTools& tools) {
  const Tokenizer& tokenizer = tools.vocabulary.tokenizer();
  if (!tools.folder.empty()) return find_chat_template(tools.folder, tokenizer);
  if (!missing_tokens(ChatTemplate::chatml, tokenizer).empty())
    throw Failure(
        BITAXON_STATUS_UNSUPPORTED,
        "expected a chat template, or the tokens of ChatML in the tokenizer, got neither");
  return JinjaTemplate::chatml();
}

bool has_chat_template(const TextTools& tools) {
  try {
    chat_template_of(tools);
    return true;
  } catch (const std::runtime_error&) {  // there is none, or it cannot be used
    return false;
  }
}

std::vector<std::pair<std::string, std::string>> variables_of(std::string_view json) {
  std::vector<std::pair<std::string, std::string>> variables;
  if (json.empty()) return variables;
  const Json object = parse_json(json, "variables");
  if (!object.is_object())
    refuse(fmt::format("variables: expected a JSON object, got {}", printable_json(object)));
  for (const auto& [name, value] : object.items()) variables.emplace_back(name, value.dump());
  return variables;
}

ChatText chat_text(const TextTools& tools, const char* messages, std::uint64_t messages_size,
                   const bitaxon_chat_options* options) {
  const auto known = options_of(options, "options");
  ChatTemplateInput input;
  input.messages = text_of(messages, messages_size, "messages");
  input.tools = text_of(known.tools, known.tools_size, "tools");
  input.documents = text_of(known.documents, known.documents_size, "documents");
  input.variables = variables_of(text_of(known.variables, known.variables_size, "variables"));
  input.name = name_of(known.template_name, known.template_name_size, "template_name");
  input.add_generation_prompt = flag_of(known.add_generation_prompt, "add_generation_prompt");
  return chat_template_of(tools).render(input);
}

}  // namespace

bitaxon_status bitaxon_tokenizer_open(const char* name, uint64_t name_size,
                                      bitaxon_tokenizer** tokenizer) {
  return guard([&] {
    not_null(tokenizer, "tokenizer");
    give(tokenizer, open_text_tools(name_of(name, name_size, "name")));
  });
}

void bitaxon_tokenizer_free(bitaxon_tokenizer* tokenizer) { delete tokenizer; }

bitaxon_status bitaxon_tokenizer_info(bitaxon_tokenizer* tokenizer, bitaxon_buffer* json) {
  return guard([&] {
    const TextTools& tools = text_tools_of(tokenizer);
    not_null(json, "json");
    const Tokenizer& own = tools.vocabulary.tokenizer();
    const Json info = {{"kind", own.kind()},
                       {"vocab_size", own.vocab_size()},
                       {"ends_of_sequence", tools.vocabulary.ends_of_sequence()},
                       {"chat_template", has_chat_template(tools)},
                       {"note", own.note()}};
    fill(json, info.dump());
  });
}

bitaxon_status bitaxon_tokenize(bitaxon_tokenizer* tokenizer, const char* text, uint64_t text_size,
                                uint32_t flags, bitaxon_buffer* ids) {
  return guard([&] {
    const TextTools& tools = text_tools_of(tokenizer);
    not_null(ids, "ids");
    check_flags(flags, BITAXON_TOKENIZE_ADD_SPECIAL | BITAXON_TOKENIZE_SPECIAL_AS_TEXT);
    const std::string_view given = text_of(text, text_size, "text");
    tools.vocabulary.check_utf8("text", given);
    const std::vector<std::int32_t> found = tools.vocabulary.encode(
        given, {.add_special = (flags & BITAXON_TOKENIZE_ADD_SPECIAL) != 0,
                .special_as_text = (flags & BITAXON_TOKENIZE_SPECIAL_AS_TEXT) != 0});
    fill(ids, bytes_of(std::span(found)));
  });
}

bitaxon_status bitaxon_detokenize(bitaxon_tokenizer* tokenizer, const int32_t* ids, uint64_t n_ids,
                                  uint32_t flags, bitaxon_buffer* text) {
  return guard([&] {
    const TextTools& tools = text_tools_of(tokenizer);
    not_null(text, "text");
    check_flags(flags, BITAXON_DETOKENIZE_SKIP_SPECIAL);
    fill(text, tools.vocabulary.decode(ids_of(ids, n_ids), flags != 0));
  });
}

bitaxon_status bitaxon_token_id(bitaxon_tokenizer* tokenizer, const char* token,
                                uint64_t token_size, int32_t* id) {
  return guard([&] {
    const TextTools& tools = text_tools_of(tokenizer);
    not_null(id, "id");
    const std::string_view wanted = text_of(token, token_size, "token");
    if (!tools.vocabulary.tokenizer().token_id(wanted)) {
      *id = -1;
      return;
    }
    const std::vector<std::int32_t> ids = tools.vocabulary.encode(wanted);
    *id = ids.size() == 1 ? ids.front() : *tools.vocabulary.tokenizer().token_id(wanted);
  });
}

bitaxon_status bitaxon_chat_text(bitaxon_tokenizer* tokenizer, const char* messages,
                                 uint64_t messages_size, const bitaxon_chat_options* options,
                                 bitaxon_buffer* text) {
  return guard([&] {
    const TextTools& tools = text_tools_of(tokenizer);
    not_null(text, "text");
    fill(text, chat_text(tools, messages, messages_size, options).text);
  });
}

bitaxon_status bitaxon_chat_tokens(bitaxon_tokenizer* tokenizer, const char* messages,
                                   uint64_t messages_size, const bitaxon_chat_options* options,
                                   bitaxon_buffer* ids) {
  return guard([&] {
    const TextTools& tools = text_tools_of(tokenizer);
    not_null(ids, "ids");
    const ChatText rendered = chat_text(tools, messages, messages_size, options);
    const std::vector<std::int32_t> found =
        tools.vocabulary.encode(rendered.text, {.plain = rendered.input});
    fill(ids, bytes_of(std::span(found)));
  });
}
