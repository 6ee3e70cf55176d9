#include "pipeline/run_step.h"

#include <algorithm>

#include "console.h"
#include "options.h"
#include "platform/printable.h"

namespace bitaxon::tool {
namespace {

std::string quoted(const std::string& word) {
  const auto is_plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("-_=./:,+@%").find(c) != std::string_view::npos;
  };
  if (!word.empty() && std::ranges::all_of(word, is_plain)) return word;
  std::string text = "'";
  for (const char c : word) text += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return text + "'";
}

}  // namespace

CommandResult run_words(const std::vector<std::string>& words) {
  CommandLine line("bit-axon", "", "");
  for (const auto add :
       {add_prepare, add_train, add_merge, add_quantize, add_evaluate, add_run, add_upload})
    add(line);
  std::vector<const char*> pointers = {"bit-axon"};
  for (const std::string& word : words) pointers.push_back(word.c_str());
  const PrintCapture capture;
  CommandResult result;
  result.status = line.parse(static_cast<int>(pointers.size()), pointers.data())();
  result.out = capture.text();
  return result;
}

std::string shell_line(const std::vector<std::string>& words) {
  std::string text = "bit-axon";
  for (const std::string& word : words) text += " " + quoted(word);
  return printable(text, std::size_t{1} << 16);
}

}  // namespace bitaxon::tool
