#include "training/data/human_assistant.h"

#include <fmt/format.h>

#include <string>
#include <tuple>
#include <utility>

#include "bitaxon/error.h"
#include "platform/printable.h"

namespace bitaxon {
namespace {

struct Mark {
  std::string_view text;
  const char* role;
};
constexpr Mark kMarks[] = {{"\n\nHuman:", "user"}, {"\n\nAssistant:", "assistant"}};

/// The first mark in a text and its place. The place is npos if there is none.
std::pair<Mark, std::size_t> first_mark(std::string_view text) {
  std::pair<Mark, std::size_t> first{kMarks[0], text.npos};
  for (const Mark& mark : kMarks)
    if (const std::size_t at = text.find(mark.text); at < first.second) first = {mark, at};
  return first;
}

}  // namespace

std::vector<ChatMessage> human_assistant_turns(std::string_view text, std::string_view what) {
  std::string all(text);
  all.insert(0, text.starts_with("\n\n") ? "" : "\n\n");
  std::string_view rest = all;
  auto [mark, at] = first_mark(rest);
  if (at != 0)
    throw Error(
        ErrorKind::format,
        fmt::format("{}: expected a text that begins with \"Human:\" or \"Assistant:\", got "
                    "\"{}\"",
                    what, printable(text, 40)));
  std::vector<ChatMessage> turns;
  while (at != rest.npos) {
    rest.remove_prefix(at + mark.text.size());
    const char* role = mark.role;
    std::tie(mark, at) = first_mark(rest);
    std::string_view content = rest.substr(0, at);
    if (content.starts_with(' ')) content.remove_prefix(1);
    turns.push_back({role, std::string(content)});
  }
  return turns;
}

}  // namespace bitaxon
