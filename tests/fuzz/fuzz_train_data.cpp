// Reads any bytes as a file of training data. Either an example is refused with one line that names
// its place, or it can be written in the canonical forms, reads back as the same example, and its
// contents are found again in the text of the conversation.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "formats/json.h"
#include "fuzz/expected_error.h"
#include "fuzz/memory_file.h"
#include "training/data/canonical_row.h"
#include "training/data/chat_text.h"
#include "training/data/record_file.h"
#include "training/data/token_borders.h"

namespace bitaxon {
namespace {

const JinjaTemplate& spaced_template() {
  static const JinjaTemplate spaced = JinjaTemplate::parse(
      "{% for m in messages %}[{{ m.role }}] {{ m.content | trim }} !{% endfor %}");
  return spaced;
}

void check_contents(const ConversationText& text, const Example& example) {
  const std::vector<ChatMessage>& messages = example.messages;
  for (std::size_t i = 0; i < messages.size(); ++i) {
    if (messages[i].role != "assistant") continue;
    const TextRange range = text.contents.at(i);
    const std::string found = text.chat.text.substr(range.begin, range.end - range.begin);
    if (messages[i].content.find(found) == std::string::npos)
      fuzzer_failed("content not found", found);
  }
}

void check_conversation(const Example& example) {
  if (example.messages.empty()) return;
  const ConversationText text = conversation_text(JinjaTemplate::chatml(), example.messages);
  check_contents(text, example);
  for (std::size_t i = 0; i < example.messages.size(); ++i)
    if (text.contents[i].end - text.contents[i].begin != example.messages[i].content.size())
      fuzzer_failed("content cut", example.messages[i].content);
  const Tokenizer bytes = Tokenizer::bytes();
  const std::vector<std::int32_t> ids = bytes.encode(text.chat.text);
  const TokenBorders borders(bytes, text.chat, ids);
  for (const TextRange& range : text.contents)
    if (borders.token_at(range.begin) != range.begin) fuzzer_failed("border", text.chat.text);
  try {
    check_contents(conversation_text(spaced_template(), example.messages), example);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::format) fuzzer_failed("wrong kind", error.what());
  }
}

void check_canonical(const Example& example, CanonicalForm form, Objective objective) {
  Json row;
  try {
    row = canonical_row(example, form);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::format) fuzzer_failed("wrong kind", error.what());
    return;
  }
  const Example again = read_example(row, detected_form(row, objective));
  if (canonical_row(again, form) != row) fuzzer_failed("not the same", row.dump());
}

void read_record(const RecordFile& file, std::size_t index, Objective objective) {
  try {
    const Json row = file.json(index);
    try {
      const Example example = read_example(row, detected_form(row, objective));
      check_canonical(example, CanonicalForm::messages, Objective::sft);
      check_canonical(example, CanonicalForm::alpaca, Objective::sft);
      check_canonical(example, CanonicalForm::text, Objective::sft);
      check_canonical(example, CanonicalForm::orpo, Objective::orpo);
      check_conversation(example);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::format) fuzzer_failed("wrong kind", error.what());
      check_message(error, "");
    }
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::format) fuzzer_failed("wrong kind", error.what());
    check_message(error, file.place(index));
  }
}

void read(std::string_view bytes) {
  const MemoryFile memory(bytes);
  try {
    const RecordFile file = RecordFile::open(memory.path());
    for (std::size_t i = 0; i < file.size(); ++i) {
      read_record(file, i, Objective::sft);
      read_record(file, i, Objective::orpo);
    }
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::format && error.kind() != ErrorKind::unsupported)
      fuzzer_failed("wrong kind", error.what());
    check_message(error, memory.path());
  }
}

}  // namespace
}  // namespace bitaxon

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  bitaxon::read({reinterpret_cast<const char*>(data), size});
  return 0;
}
