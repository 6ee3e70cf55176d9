// bit-axon chat and run --chat: answers questions from stdin, one per line.
#include <algorithm>

#include "bitaxon/error.h"
#include "cmd_run.h"
#include "console.h"
#include "platform/printable.h"
#include "platform/signals.h"
#include "platform/standard_streams.h"
#include "platform/terminal.h"

namespace bitaxon::tool {
namespace {

/// A conversation. It is kept as ids, which are never turned into text and back.
class Conversation {
 public:
  Conversation(const RunOptions& run, Session& session, State& state, GenerateOptions options)
      : run_(run),
        template_(wanted_template(run)),
        session_(session),
        state_(state),
        options_(std::move(options)) {
    base_ = state.position();
    if (!run.no_stream)
      options_.on_text = [](std::string_view text) {
        print(text);
        flush();
      };
  }

  void reset() {
    state_.reset();
    base_ = 0;
    history_.clear();
  }

  /// Answers one question. Returns false if the context has no room for the question.
  bool answer(const std::string& question);

 private:
  std::string template_text(const std::string& question) const;

  const RunOptions& run_;
  ChatTemplate template_;
  Session& session_;
  State& state_;
  GenerateOptions options_;
  std::int64_t base_ = 0;              ///< number of tokens in a loaded state, without known ids
  std::vector<std::int32_t> history_;  ///< later ids; the last of them may not be fed yet
};

std::string Conversation::template_text(const std::string& question) const {
  std::vector<ChatMessage> messages;
  const bool opens = history_.empty();
  const bool continues = state_.position() > 0 || !opens;
  if (opens && !run_.system.empty()) messages.push_back({"system", run_.system});
  messages.push_back({"user", question});
  // turn_end() closes the turn of the previous answer, for whatever reason that answer ended.
  return std::string(continues ? turn_end(template_) : "") + chat_prompt(messages, template_);
}

bool Conversation::answer(const std::string& question) {
  session_.vocabulary->check_utf8("question", question);
  const std::vector<std::int32_t> ids = session_.vocabulary->encode(template_text(question));
  const auto total = base_ + std::ssize(history_) + std::ssize(ids);
  if (total >= session_.model.context()) return false;
  history_.insert(history_.end(), ids.begin(), ids.end());
  // If Ctrl-C interrupted the feeding of an earlier prompt, the rest of that prompt is fed first.
  const auto fed = static_cast<std::size_t>(state_.position() - base_);
  const GenerateResult result =
      generate(session_.model, state_, &*session_.vocabulary,
               std::span<const std::int32_t>(history_).subspan(fed), options_);
  if (run_.no_stream) print(result.text);
  print("\n");
  flush();
  history_.insert(history_.end(), result.token_ids.begin(), result.token_ids.end());
  if (!run_.output.quiet) note_dim(footer(result));
  return !result.context_full;
}

constexpr const char* kHelp =
    "exit or quit (Ctrl-D, or Ctrl-C at an empty prompt) ends the chat; Ctrl-C ends an answer; "
    "/reset starts a new conversation; /help shows this line";

/// A line in lower case, without blanks at its start and end.
std::string plain_word(std::string_view line) {
  constexpr const char* kBlanks = " \t\r";
  const std::size_t first = line.find_first_not_of(kBlanks);
  if (first == line.npos) return {};
  std::string word(line.substr(first, line.find_last_not_of(kBlanks) - first + 1));
  std::ranges::transform(word, word.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return word;
}

bool ends_chat(std::string_view word) {
  return word == "exit" || word == "quit" || word == "/exit" || word == "/quit";
}

}  // namespace

int chat(const RunOptions& run, Session& session, State& state, const GenerateOptions& options) {
  if (!session.vocabulary)
    throw Error(ErrorKind::io, "chat: no tokenizer: name one with --tokenizer");
  std::atomic<bool>& interrupted = catch_interrupts();
  const bool terminal = is_terminal(Stream::standard_input);
  Conversation conversation(run, session, state, options);
  if (terminal && !run.output.quiet) note_dim(kHelp);
  InputLines lines;
  std::string line = run.prompt.empty() ? run.positional_prompt : run.prompt;
  const auto respond = [&] {
    bool full = false;
    try {
      full = !conversation.answer(line);
    } catch (const Error& error) {
      // An invalid question does not end the chat, for example a word without a token.
      if (error.kind() != ErrorKind::invalid_argument) throw;
      note(printable(error.what(), 4096));
    }
    if (full)
      note(fmt::format("the context is full ({} tokens): /reset starts a new one",
                       session.model.context()));
    interrupted = false;
  };
  const auto next_line = [&] {
    try {
      return lines.next(line, interrupted);
    } catch (const Error&) {
      // stdin has failed. The conversation is saved anyway.
      if (!run.save_state.empty()) state.save(run.save_state);
      throw;
    }
  };
  if (!line.empty()) respond();
  for (;;) {
    if (terminal) write_standard_error("> ");
    const InputLines::Outcome outcome = next_line();
    if (outcome != InputLines::Outcome::line) {
      if (terminal) write_standard_error("\n");
      if (!run.save_state.empty()) state.save(run.save_state);
      return outcome == InputLines::Outcome::end ? kDone : kInterrupted;
    }
    const std::string word = plain_word(line);
    if (word.empty()) continue;
    if (ends_chat(word)) {
      if (!run.save_state.empty()) state.save(run.save_state);
      return kDone;
    }
    if (word == "/help") {
      note(kHelp);
    } else if (word == "/reset") {
      conversation.reset();
    } else if (word.front() == '/') {
      note(fmt::format("expected /reset, /exit, /quit or /help, got {}", printable(line)));
    } else {
      respond();
    }
  }
}

}  // namespace bitaxon::tool
