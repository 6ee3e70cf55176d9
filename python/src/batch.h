// Generates the answers of many prompts together.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bitaxon/generate.h"
#include "loaded_model.h"
#include "tokenizer_handle.h"

namespace bitaxon::python {

struct BatchPrompt {
  std::vector<std::int32_t> ids;
  GenerateOptions options;  ///< on_text and interrupted are not used
};

struct BatchAnswer {
  std::string text;
  std::vector<std::int32_t> ids;
  FinishReason finish_reason = FinishReason::length;
  std::int64_t prompt_tokens = 0;
};

/// The answers in the order of the prompts. A job calls this. Throws as generate() does; an
/// interrupted call throws Error(internal).
std::vector<BatchAnswer> generate_batch(LoadedModel& model, const Vocabulary* vocabulary,
                                        std::vector<BatchPrompt> prompts,
                                        const std::atomic<bool>& cancelled);

}  // namespace bitaxon::python
