// bit-axon template: prints what a chat template makes of a conversation.
#include <algorithm>

#include "bitaxon/chat_template.h"
#include "bitaxon/error.h"
#include "console.h"
#include "formats/json.h"
#include "platform/file.h"
#include "platform/printable.h"
#include "prompt.h"
#include "session.h"

namespace bitaxon::tool {
namespace {

constexpr std::uint64_t kMaxJsonBytes = std::uint64_t{64} << 20;

struct TemplateOptions {
  ModelOptions model;
  OutputOptions output;
  std::string chat_template, name, messages, tools, documents;
  std::vector<std::string> variables;
  bool no_generation_prompt = false, json = false;
};

/// The text of a file with JSON. Empty without the flag.
std::string json_of(const std::string& path) {
  if (path.empty()) return "";
  return read_whole_file(path, kMaxJsonBytes);
}

/// The name and the value of --set NAME=JSON.
std::pair<std::string, std::string> parse_variable(const std::string& text) {
  const std::size_t equals = text.find('=');
  const std::string name = text.substr(0, equals);
  const auto is_name = [](char c) {
    return c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  };
  if (equals == text.npos || name.empty() || !std::all_of(name.begin(), name.end(), is_name) ||
      (name[0] >= '0' && name[0] <= '9'))
    throw UsageError(fmt::format("--set: expected NAME=JSON, got \"{}\"", printable(text)));
  for (const char* own : {"messages", "tools", "documents", "add_generation_prompt"})
    if (name == own)
      throw UsageError(fmt::format("--set {}: expected another name, this one has a flag", name));
  std::string value = text.substr(equals + 1);
  if (!Json::accept(value))
    throw UsageError(fmt::format("--set {}: expected JSON, got \"{}\"", name, printable(value)));
  return {name, std::move(value)};
}

void check(const TemplateOptions& wanted) {
  if (wanted.model.model.empty() && wanted.chat_template.empty())
    throw UsageError("expected --model or --chat-template, got neither");
}

int print_rendering(const TemplateOptions& wanted) {
  check(wanted);
  std::vector<std::pair<std::string, std::string>> variables;
  for (const std::string& variable : wanted.variables)
    variables.push_back(parse_variable(variable));
  std::optional<Vocabulary> vocabulary;
  if (!wanted.model.model.empty() || !wanted.model.tokenizer.empty())
    if (wanted.json || wanted.chat_template.empty())
      vocabulary = open_vocabulary(wanted.model, wanted.output);
  const JinjaTemplate chat_template =
      wanted_chat_template(wanted.chat_template, wanted.model, vocabulary);
  const std::string messages = json_of(wanted.messages), tools = json_of(wanted.tools),
                    documents = json_of(wanted.documents);
  ChatTemplateInput input;
  input.messages = messages;
  input.tools = tools;
  input.documents = documents;
  input.variables = std::move(variables);
  input.add_generation_prompt = !wanted.no_generation_prompt;
  input.name = wanted.name;
  input.names = {wanted.messages, wanted.tools, wanted.documents};
  const ChatText rendered = chat_template.render(input);
  if (!wanted.json) {
    print(rendered.text);
    return kDone;
  }
  Json json;
  json["text"] = rendered.text;
  json["ids"] = vocabulary ? Json(vocabulary->encode(rendered.text, {.plain = rendered.input}))
                           : Json(nullptr);
  print(json.dump(2) + "\n");
  return kDone;
}

}  // namespace

void add_template(CommandLine& line) {
  auto wanted = std::make_shared<TemplateOptions>();
  Command& command =
      line.add_command("template", "Print what a chat template makes of a conversation");
  add_model_options(command, wanted->model);
  command
      .add("--chat-template", wanted->chat_template,
           "A Jinja file, or a tokenizer_config.json (default: the model's template)")
      .type("FILE")
      .not_empty();
  command.add("--name", wanted->name, "Which template, if the model has several")
      .type("NAME")
      .not_empty();
  command.add("--messages", wanted->messages, "A JSON list of chat messages {role, content}")
      .type("FILE")
      .required()
      .not_empty();
  command.add("--tools", wanted->tools, "A JSON list of tools").type("FILE").not_empty();
  command.add("--documents", wanted->documents, "A JSON list of documents")
      .type("FILE")
      .not_empty();
  command
      .add("--set", wanted->variables,
           "A variable of the template, such as enable_thinking=false; may be given several times")
      .type("NAME=JSON")
      .one_value_each();
  command.add("--no-generation-prompt", wanted->no_generation_prompt,
              "Leave out the beginning of the answer");
  command.add("--json", wanted->json, "Print one JSON object with text and ids");
  add_output_options(command, wanted->output);
  command.runs([wanted] { return print_rendering(*wanted); });
}

}  // namespace bitaxon::tool
