// Examples as rows of JSON in the forms that are written.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "formats/json_fwd.h"
#include "training/data/example.h"

namespace bitaxon {

/// The forms that are written.
enum class CanonicalForm : std::uint8_t { messages, alpaca, orpo, text };

std::string_view name_of(CanonicalForm form);
std::optional<CanonicalForm> canonical_form_named(std::string_view name);

/// An example as a row. Of a pair, the forms other than orpo take the chosen answer. CanonicalForm::text
/// writes a conversation as ChatML. Throws Error(format) without a place if the example cannot have
/// this form.
Json canonical_row(const Example& example, CanonicalForm form);

}  // namespace bitaxon
