// bit-axon run and chat: generates text from a prompt, or answers questions.
#include "cmd_run.h"

#include <limits>
#include <random>

#include "bitaxon/error.h"
#include "chat_prompt.h"
#include "console.h"
#include "conversation.h"
#include "formats/json.h"
#include "generation_defaults.h"
#include "id_list.h"
#include "platform/file.h"
#include "platform/printable.h"
#include "platform/signals.h"
#include "platform/terminal.h"
#include "prompt.h"
#include "thoughts.h"

namespace bitaxon::tool {
namespace {

constexpr double kNoLimit = std::numeric_limits<double>::infinity();

Json system_message(const std::string& text) { return {{"role", "system"}, {"content", text}}; }

/// The JSON of messages. Invalid UTF-8 is refused before anything is fed.
std::string dumped(const Json& messages) {
  return messages.dump(-1, ' ', false, Json::error_handler_t::replace);
}

/// Checks that a message is an object, with what ChatML and lines of plain text need if
/// `is_built_in`.
void check_message(const Json& item, const std::string& name, std::size_t index, bool is_built_in) {
  if (!is_built_in && !item.is_object())
    throw Error(ErrorKind::format, fmt::format("{}: message {}: expected an object, got {}", name,
                                               index, printable_json(item)));
  if (!is_built_in) return;
  for (const char* key : {"role", "content"})
    if (!item.is_object() || !item.contains(key) || !item[key].is_string())
      throw Error(ErrorKind::format,
                  fmt::format("{}: message {}: expected an object with texts \"role\" and "
                              "\"content\", got {}",
                              name, index, printable_json(item)));
}

/// The text of a file with messages, with the system message in front.
std::string read_messages(const RunOptions& run, const ChatPrompt& prompt) {
  const std::string name = printable_path(run.messages);
  std::string text = read_whole_file(run.messages, std::uint64_t{64} << 20);
  const Json list = parse_json(text, name);
  if (!list.is_array() || list.empty())
    throw Error(ErrorKind::format,
                fmt::format("{}: expected a JSON list of messages, got {}", name,
                            list.is_array() ? "an empty one" : list.type_name()));
  for (std::size_t i = 0; i < list.size(); ++i)
    check_message(list[i], name, i, prompt.is_built_in());
  // The text is kept as it is, because parsing would change large numbers.
  if (!run.system.empty()) text.insert(text.find('[') + 1, system_message(run.system).dump() + ",");
  return text;
}

void check_combinations(const RunOptions& run) {
  const int n_prompts =
      static_cast<int>(!run.positional_prompt.empty()) + static_cast<int>(!run.prompt.empty()) +
      static_cast<int>(!run.prompt_ids.empty()) + static_cast<int>(!run.messages.empty());
  if (n_prompts > 1)
    throw UsageError("expected one of PROMPT, --prompt, --prompt-ids and --messages, got several");
  if (run.chat && (!run.prompt_ids.empty() || !run.messages.empty()))
    throw UsageError("--chat: expected a text prompt or none, got --prompt-ids or --messages");
  if (run.chat && run.json) throw UsageError("--json: expected without --chat, got both");
  if (!run.chat_template.empty() && !run.prompt_ids.empty())
    throw UsageError("--chat-template: expected without --prompt-ids, got both");
  if (!run.thinking.empty() && run.thinking != "on" && run.thinking != "off")
    throw UsageError(
        fmt::format("--thinking: expected on or off, got \"{}\"", printable(run.thinking)));
  if (!run.save_state.empty()) check_writable("--save-state", run.save_state);
}

/// The text to generate from: from the flags, the template of messages, or stdin.
struct Prompt {
  std::vector<std::int32_t> ids;  ///< the ids of --prompt-ids; empty without that flag
  std::string text;               ///< a plain text
  std::string messages;           ///< a JSON list of messages; empty for a plain text
};

/// Reads the prompt before a model is loaded. `chat`: the template, if a plain prompt is a message.
Prompt read_prompt(const RunOptions& run, const std::optional<ChatPrompt>& chat) {
  if (!run.prompt_ids.empty()) return {parse_ids("--prompt-ids", run.prompt_ids), "", ""};
  if (!run.messages.empty()) return {{}, "", read_messages(run, *chat)};
  std::string text = run.prompt.empty() ? run.positional_prompt : run.prompt;
  if (run.chat) return {};
  if (text.empty()) text = read_prompt_from_stdin();
  if (!chat) return {{}, std::move(text), ""};
  Json messages = Json::array();
  if (!run.system.empty()) messages.push_back(system_message(run.system));
  messages.push_back({{"role", "user"}, {"content", text}});
  return {{}, std::move(text), dumped(messages)};
}

/// What a command feeds first.
struct Feed {
  std::vector<std::int32_t> ids;
  bool in_thought = false;  ///< whether the chat template has opened a thought
};

/// The prompt in model ids. `continues` says that the state already holds a text. The tokenizer adds
/// its tokens for the beginning only to a plain text that begins here, because a template writes them
/// itself.
Feed feed_of(const Prompt& prompt, const std::optional<ChatPrompt>& chat, const Session& session,
             bool continues) {
  if (!prompt.ids.empty()) return {prompt.ids};
  const Vocabulary& vocabulary = needed_vocabulary(session, "--prompt-ids");
  vocabulary.check_utf8("prompt", prompt.text);
  if (prompt.messages.empty()) return {vocabulary.encode(prompt.text, {.add_special = !continues})};
  const ChatText text = chat->render(prompt.messages, true, continues);
  return {chat_ids(vocabulary, text), opens_thought(text)};
}

Json result_json(const Session& session, const GenerateOptions& options,
                 const GenerateResult& result) {
  Json json;
  json["text"] = session.vocabulary ? Json(result.text) : Json(nullptr);
  json["token_ids"] = result.token_ids;
  json["prompt_tokens"] = result.prompt_tokens;
  json["cached_tokens"] = result.cached_tokens;
  json["completion_tokens"] = result.token_ids.size();
  json["tokens_per_sec"] = result.decode_tokens_per_sec();
  json["prefill_tokens_per_sec"] = result.prefill_tokens_per_sec();
  json["prefill_ms"] = result.prefill_ms;
  json["time_to_first_token_ms"] = result.time_to_first_token_ms;
  json["total_ms"] = result.total_ms;
  json["per_token_ms"] = result.per_token_ms;
  json["finish_reason"] = name_of(result.finish_reason);
  json["stop_token_id"] = result.stop_token ? Json(*result.stop_token) : Json(nullptr);
  json["seed"] = options.sampler.seed;
  json["device"] = caps_of(*session.backend).name;
  json["device_name"] = caps_of(*session.backend).device;
  json["precision"] = name_of(session.model.precision());
  json["run_ahead"] = session.model.run_ahead();
  return json;
}

void say_details(const Session& session, const GenerateOptions& options) {
  const Model& model = session.model;
  note(fmt::format("weights {} packed, state up to {}, precision {}, run-ahead {}, seed {}",
                   bytes_text(model.packed_bytes()), bytes_text(model.state_bytes()),
                   name_of(model.precision()), model.run_ahead(), options.sampler.seed));
}

void say_step(const StepCounts& step) {
  note(fmt::format("per token: {} dispatches in {} submission{}, {} bytes to the device, {} back",
                   step.dispatches, step.submissions, step.submissions == 1 ? "" : "s",
                   step.bytes_to_device, step.bytes_from_device));
}

int answer(const RunOptions& run, Session& session, State& state, GenerateOptions options,
           const Feed& feed) {
  const bool streams = !run.json && !run.no_stream;
  const std::function<void()> end_stream =
      streams ? stream_text(options, feed.in_thought) : std::function<void()>([] {});
  const GenerateResult result = generate(
      session.model, state, session.vocabulary ? &*session.vocabulary : nullptr, feed.ids, options);
  end_stream();
  if (run.json) {
    print(result_json(session, options, result).dump(2, ' ', false) + "\n");
  } else {
    // Without a tokenizer the ids are printed.
    if (!session.vocabulary)
      print(ids_text(result.token_ids));
    else if (!streams)
      print(result.text);
    print("\n");
  }
  flush();
  if (run.output.verbose && result.per_token.dispatches > 0) say_step(result.per_token);
  if (!run.output.quiet) note_dim(footer(result));
  if (!run.save_state.empty()) {
    state.save(run.save_state);
    if (result.last_is_unfed && !run.output.quiet) note(kUnfedToken);
  }
  return result.finish_reason == FinishReason::interrupted ? kInterrupted : kDone;
}

/// The template of a chat. Empty if the prompt is ids or a plain text.
std::optional<ChatPrompt> chat_of(const RunOptions& run) {
  const bool is_message = run.prompt_ids.empty() && ChatPrompt::applies_to_prompts(run);
  if (run.chat || !run.messages.empty() || is_message) return ChatPrompt::wanted(run);
  for (const auto& [flag, value] :
       {std::pair{"--system", &run.system}, {"--thinking", &run.thinking}})
    if (!value->empty())
      throw UsageError(
          fmt::format("{}: expected with a chat template, --chat or --messages, got {}", flag,
                      !run.prompt_ids.empty()     ? "--prompt-ids"
                      : run.chat_template.empty() ? "none of them"
                                                  : "--chat-template none"));
  return std::nullopt;
}

int run_command(const RunOptions& run) {
  check_combinations(run);
  GenerateOptions options = generate_options(run);
  const int run_ahead =
      static_cast<int>(parse_integer("--run-ahead", run.run_ahead, 0, kMaxRunAhead));
  run.device.check();
  const std::optional<ChatPrompt> chat_prompt = chat_of(run);
  const Prompt prompt = read_prompt(run, chat_prompt);
  const std::optional<std::filesystem::path> folder = model_folder(run.model);
  const std::string sampling = folder ? apply_generation_defaults(*folder, run, options) : "";

  ModelOptions model = run.model;
  if (chat_prompt) model.chat_template = chat_prompt->checked_tokens();
  LoadOptions load{.run_ahead = run_ahead};
  if (run.chat) load.n_forks = Conversation::n_forks(run, *chat_prompt);
  Session session = open_session(model, run.device, run.output, load);
  if (!sampling.empty() && !run.output.quiet) note(sampling);
  if (!run.thinking.empty() && !chat_prompt->uses_thinking() && !run.output.quiet)
    note(fmt::format("--thinking has no effect: {} does not use enable_thinking",
                     printable_path(chat_prompt->origin())));
  if (chat_prompt && !run.chat && run.messages.empty() && !run.output.quiet)
    note("the prompt is a message of a chat; --chat-template none sends plain text");
  if (run.output.verbose) say_details(session, options);
  State state = session.model.new_state();
  if (!run.load_state.empty()) state.load(run.load_state);
  if (session.vocabulary) {
    for (const std::string& stop : options.stop) session.vocabulary->check_utf8("--stop", stop);
    session.vocabulary->check_utf8("--system", run.system);
  }
  options.interrupted = &catch_interrupts();
  if (run.chat) return chat(run, *chat_prompt, session, state, options);
  return answer(run, session, state, options,
                feed_of(prompt, chat_prompt, session, state.position() > 0));
}

/// Chooses the default model: one that chats for a chat, and for an adapter of a bundled model that
/// model.
int run_with_default_model(RunOptions run) {
  if (run.chat) run.model.use = ModelUse::chat;
  if (run.model.model.empty() && !run.model.adapter.empty())
    run.model.use = use_of_adapter(run.model.adapter, run.model.use);
  return run_command(run);
}

void add_sampler_options(Command& command, RunOptions& run) {
  const auto add = [&](const char* name, std::string& value, const std::string& help) {
    run.flags.emplace(name, command.add(name, value, help).show_default().type("N").not_empty());
  };
  add("--max-tokens", run.max_tokens, "Most tokens to generate");
  add("--temperature", run.temperature, "Randomness of the draw; 0: the likeliest token");
  add("--top-k", run.top_k, "Keep the k likeliest tokens; 0: off");
  add("--top-p", run.top_p, "Keep the likeliest tokens that together exceed p; 1: off");
  add("--min-p", run.min_p, "Drop tokens less likely than min-p times the likeliest; 0: off");
  add("--repetition-penalty", run.repetition_penalty,
      "Penalty for tokens that the context holds, prompt included; 1: off");
  add("--seed", run.seed,
      "Seed of the draw (default: from the system; --verbose and --json show it)");
  add("--run-ahead", run.run_ahead,
      fmt::format("Steps submitted before the oldest is waited for, 0 to {}", kMaxRunAhead));
}

/// The options that run and chat share.
void add_text_options(Command& command, RunOptions& run) {
  add_model_options(command, run.model);
  add_quantize_option(command, run.model);
  add_adapter_options(command, run.model);
  add_context_option(command, run.model);
  add_device_options(command, run.device);
  add_output_options(command, run.output);
  command.add("--system", run.system, "The system message of a chat").type("TEXT");
  command
      .add("--chat-template", run.chat_template,
           "The template of a chat: a Jinja file, a tokenizer_config.json, chatml, or none for "
           "plain "
           "text (default: the model's own, else chatml)")
      .type("FILE")
      .not_empty();
  command
      .add("--thinking", run.thinking,
           "Whether the model thinks before it answers: on or off (default: as the template says)")
      .type("SWITCH")
      .not_empty();
  add_sampler_options(command, run);
  command.add("--stop", run.stop, "End the answer before this text; may be given several times")
      .type("TEXT")
      .one_value_each();
  command.add("--ignore-eos", run.ignore_eos, "Continue after an end-of-sequence token");
  command.add("--no-stream", run.no_stream, "Print the text when it is complete");
  command.add("--save-state", run.save_state, "Save the state after the answer")
      .type("FILE")
      .not_empty();
  command.add("--load-state", run.load_state, "Continue from a saved state")
      .type("FILE")
      .not_empty();
}

void add_prompt_options(Command& command, RunOptions& run, const char* positional_help,
                        const char* flag_help) {
  command.add("PROMPT", run.positional_prompt, positional_help).not_empty();
  command.add("--prompt", run.prompt, flag_help).type("TEXT").not_empty();
}

}  // namespace

GenerateOptions generate_options(const RunOptions& run) {
  GenerateOptions options;
  options.max_tokens = parse_integer("--max-tokens", run.max_tokens, 0, INT64_MAX);
  options.sampler.temperature = parse_number("--temperature", run.temperature, 0, kNoLimit);
  options.sampler.top_k = parse_integer("--top-k", run.top_k, 0, INT64_MAX);
  options.sampler.top_p = parse_number("--top-p", run.top_p, 0, 1);
  options.sampler.min_p = parse_number("--min-p", run.min_p, 0, 1);
  options.sampler.repetition_penalty =
      parse_number("--repetition-penalty", run.repetition_penalty, 0, kNoLimit, true);
  options.sampler.seed = run.seed.empty() ? std::random_device{}() : parse_seed("--seed", run.seed);
  for (const std::string& stop : run.stop)
    if (stop.empty()) throw UsageError("--stop: expected a text, got an empty one");
  options.stop = run.stop;
  options.ignore_eos = run.ignore_eos;
  return options;
}

std::function<void()> stream_text(GenerateOptions& options, bool in_thought) {
  const auto write = [](std::string_view text) {
    print(text);
    flush();
  };
  if (!wants_colour(Stream::standard_output)) {
    options.on_text = write;
    return [] {};
  }
  const auto dimmer = std::make_shared<ThoughtDimmer>(write, in_thought);
  options.on_text = [dimmer](std::string_view text) { dimmer->push(text); };
  return [dimmer] { dimmer->finish(); };
}

std::string footer(const GenerateResult& result) {
  return fmt::format("── {} token{} · {:.1f} tok/s · TTFT {:.0f}ms ──", result.token_ids.size(),
                     result.token_ids.size() == 1 ? "" : "s", result.decode_tokens_per_sec(),
                     result.time_to_first_token_ms);
}

void add_run(CommandLine& line) {
  auto run = std::make_shared<RunOptions>();
  Command& command = line.add_command("run", "Generate text and stream it to stdout");
  add_text_options(command, *run);
  add_prompt_options(command, *run, "The prompt (default: stdin without its last line end)",
                     "The prompt, as a flag");
  command.add("--prompt-ids", run->prompt_ids, "The prompt as the model's token ids: 1,2,3")
      .type("IDS")
      .not_empty();
  command
      .add("--messages", run->messages,
           "A JSON list of chat messages {role, content} as the prompt")
      .type("FILE")
      .not_empty();
  command.add("-c,--chat", run->chat, "The same as the command chat");
  command.add("--json", run->json, "Print one JSON object with text, ids and times");
  command.runs([run] { return run_with_default_model(*run); });
}

void add_chat(CommandLine& line) {
  auto run = std::make_shared<RunOptions>();
  run->chat = true;
  Command& command =
      line.add_command("chat", "Answer questions from stdin, one per line; exit ends the chat");
  add_text_options(command, *run);
  add_prompt_options(command, *run, "The first question (default: the first line of stdin)",
                     "The first question, as a flag");
  command.runs([run] { return run_with_default_model(*run); });
}

}  // namespace bitaxon::tool
