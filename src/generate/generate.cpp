#include "bitaxon/generate.h"

#include "generate/generation.h"

namespace bitaxon {

std::string_view name_of(FinishReason reason) {
  switch (reason) {
    case FinishReason::stop:
      return "stop";
    case FinishReason::length:
      return "length";
    case FinishReason::interrupted:
      return "interrupted";
  }
  return "?";
}

double GenerateResult::prefill_tokens_per_sec() const {
  if (time_to_first_token_ms <= 0) return 0;
  return static_cast<double>(prompt_tokens) * 1000.0 / time_to_first_token_ms;
}

double GenerateResult::decode_tokens_per_sec() const {
  if (per_token_ms.size() == 1 && per_token_ms[0] > 0) return 1000.0 / per_token_ms[0];
  double milliseconds = 0;
  for (std::size_t i = 1; i < per_token_ms.size(); ++i) milliseconds += per_token_ms[i];
  if (milliseconds <= 0) return 0;
  return static_cast<double>(per_token_ms.size() - 1) * 1000.0 / milliseconds;
}

GenerateResult generate(Model& model, State& state, const Vocabulary* vocabulary,
                        std::span<const std::int32_t> prompt, const GenerateOptions& options) {
  Generation generation(model, state, vocabulary, options);
  bool goes_on = generation.begin(prompt);
  while (goes_on) goes_on = generation.advance();
  return generation.finish();
}

}  // namespace bitaxon
