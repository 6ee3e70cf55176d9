#include "prompt.h"

#include "bitaxon/error.h"
#include "console.h"
#include "platform/standard_streams.h"
#include "platform/terminal.h"

namespace bitaxon::tool {

std::string read_prompt_from_stdin() {
  if (is_terminal(Stream::standard_input))
    note("reading the prompt from the terminal; Ctrl-D ends it");
  std::string text = read_standard_input(kMaxTextBytes);
  if (text.ends_with('\n')) text.erase(text.size() - (text.ends_with("\r\n") ? 2 : 1));
  if (text.empty()) throw UsageError("prompt: expected a text, got an empty one");
  return text;
}

const Vocabulary& needed_vocabulary(const Session& session, std::string_view ids_flag) {
  if (!session.vocabulary)
    throw Error(ErrorKind::io, fmt::format("no tokenizer: name one with --tokenizer, or give ids "
                                           "with {}",
                                           ids_flag));
  return *session.vocabulary;
}

}  // namespace bitaxon::tool
