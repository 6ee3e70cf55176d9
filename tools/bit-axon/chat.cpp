// bit-axon chat and run --chat: answers questions from stdin, one per line.
#include <algorithm>

#include "bitaxon/error.h"
#include "cmd_run.h"
#include "console.h"
#include "conversation.h"
#include "platform/printable.h"
#include "platform/signals.h"
#include "platform/standard_streams.h"
#include "platform/terminal.h"

namespace bitaxon::tool {
namespace {

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

int chat(const RunOptions& run, const ChatPrompt& prompt, Session& session, State& state,
         const GenerateOptions& options) {
  if (!session.vocabulary)
    throw Error(ErrorKind::io, "chat: no tokenizer: name one with --tokenizer");
  std::atomic<bool>& interrupted = catch_interrupts();
  const bool terminal = is_terminal(Stream::standard_input);
  Conversation conversation(run, prompt, session, state, options);
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
  const auto save = [&] {
    if (run.save_state.empty()) return;
    state.save(run.save_state);
    if (conversation.last_is_unfed() && !run.output.quiet) note(kUnfedToken);
  };
  const auto next_line = [&] {
    try {
      return lines.next(line, interrupted);
    } catch (const Error&) {
      save();  // although stdin has failed
      throw;
    }
  };
  if (!line.empty()) respond();
  for (;;) {
    if (terminal) write_standard_error("> ");
    const InputLines::Outcome outcome = next_line();
    if (outcome != InputLines::Outcome::line) {
      if (terminal) write_standard_error("\n");
      save();
      return outcome == InputLines::Outcome::end ? kDone : kInterrupted;
    }
    const std::string word = plain_word(line);
    if (word.empty()) continue;
    if (ends_chat(word)) {
      save();
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
