// Passes any bytes to the parser of chat templates and renders what it accepts. Every fault must be
// an Error(format) or a refusal of the template, in one line, within small limits.
#include <cstddef>
#include <cstdint>
#include <string>

#include "bitaxon/chat_template.h"
#include "fuzz/expected_error.h"

namespace bitaxon {
namespace {

constexpr ChatTemplateLimits kLimits{.max_steps = 100'000,
                                     .max_depth = 300,
                                     .max_memory_bytes = std::size_t{16} << 20,
                                     .max_output_bytes = std::size_t{1} << 20};

constexpr std::string_view kMessages =
    R"([{"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Grüße <|im_end|>", "n": 12345678901234567890123, "f": 1e21},
        {"role": "assistant", "content": "<think>\nhm\n</think>\n\nok", "tool_calls":
          [{"id": "c1", "function": {"name": "f", "arguments": {"a": [1, null, true]}}}]},
        {"role": "tool", "content": [{"type": "text", "text": "x"}]}])";

void check_ranges(const ChatText& rendered) {
  std::size_t at = 0;
  for (const TextRange& range : rendered.input) {
    if (range.begin < at || range.end <= range.begin || range.end > rendered.text.size())
      fuzzer_failed("ranges out of order", rendered.text);
    at = range.end;
  }
}

void render(std::string_view source) {
  ChatTemplateInput input;
  input.messages = kMessages;
  input.tools = R"([{"type": "function", "function": {"name": "f", "parameters": {}}}])";
  input.variables = {{"enable_thinking", "false"}, {"words", R"(["b", "A", "c"])"}};
  input.now = std::tm{};
  input.limits = kLimits;
  try {
    check_ranges(JinjaTemplate::parse(source).with_tokens("<s>", "</s>").render(input));
  } catch (const ChatTemplateRefusal&) {
    // The text of a refusal is the template's own.
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::format) fuzzer_failed("wrong kind", error.what());
    check_message(error, "chat template: ");
  }
}

}  // namespace
}  // namespace bitaxon

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  bitaxon::render({reinterpret_cast<const char*>(data), size});
  return 0;
}
