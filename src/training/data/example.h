// What a line of training data says, whatever its form.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bitaxon/tokenizer.h"
#include "bitaxon/train.h"
#include "formats/json_fwd.h"

namespace bitaxon {

/// The forms of a line. docs/training-data.md shows them.
enum class ExampleForm : std::uint8_t {
  messages,       ///< messages: a list of {role, content}
  sharegpt,       ///< conversations: a list of {from, value}; system_prompt
  alpaca,         ///< instruction, input, output
  openorca,       ///< system_prompt, question, response
  completion,     ///< prompt, completion
  text,           ///< text
  orpo,           ///< prompt, chosen, rejected
  ultrafeedback,  ///< chosen, rejected: whole conversations with the same prompt
  hh_rlhf,        ///< chosen, rejected: texts with "Human:" and "Assistant:"
};
inline constexpr int kExampleForms = 9;

/// The name of a form, such as "hh-rlhf".
std::string_view name_of(ExampleForm form);
std::optional<ExampleForm> form_named(std::string_view name);
/// Whether the examples of a form are pairs of answers.
bool is_pair(ExampleForm form);

/// An example. It has messages or, for ExampleForm::text, a text.
struct Example {
  ExampleForm form = ExampleForm::messages;
  std::vector<ChatMessage> messages;  ///< of a pair: the prompt
  std::string text;
  std::vector<ChatMessage> chosen, rejected;  ///< the answers of a pair
};

/// The form of a row by its keys. Rows often have the keys of several forms: pairs are preferred if
/// `wanted` is Objective::orpo, and are refused otherwise. Throws Error(format) without a place.
ExampleForm detected_form(const Json& row, Objective wanted);
/// Reads and checks a row. Throws Error(format) without a place, such as
/// "messages[2].content: expected text, got null".
Example read_example(const Json& row, ExampleForm form);

}  // namespace bitaxon
