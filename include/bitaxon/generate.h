// From a prompt to text.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "bitaxon/backend.h"
#include "bitaxon/export.h"
#include "bitaxon/model.h"
#include "bitaxon/tokenizer.h"

namespace bitaxon {

/// A tokenizer in the ids of a model: its own, or, for a checkpoint ported from another vocabulary,
/// mapped on the way in and back on the way out.
class BX_API Vocabulary {
 public:
  /// `mapping` is the text of the checkpoint's vocab_mapping, or empty.
  /// Throws Error(format) when the mapping cannot be read, or when ids (their images) do not fit
  /// vocab_size, with both numbers.
  Vocabulary(Tokenizer tokenizer, std::string_view mapping, std::int64_t vocab_size);

  /// Checks that a text is UTF-8; the byte tokenizer takes any bytes. Throws
  /// Error(invalid_argument) that names `what` and the byte.
  void check_utf8(const std::string& what, std::string_view text) const;
  /// Throws Error(invalid_argument) that names the token when one has no image.
  std::vector<std::int32_t> encode(std::string_view text) const;
  std::string decode(std::span<const std::int32_t> ids, bool skip_special = false) const;
  /// The ids that end a text. Tokens that a mapping does not map are left out.
  std::vector<std::int32_t> ends_of_sequence() const;
  const Tokenizer& tokenizer() const;
  /// The tokenizer's id for a model's; -1 when it has none (which decodes to nothing).
  std::int32_t to_tokenizer(std::int32_t id) const;

 private:
  struct Impl;
  std::shared_ptr<const Impl> impl_;
};

enum class FinishReason : std::uint8_t {
  stop,         ///< end of sequence or a stop string
  length,       ///< max_tokens or max_seq_len
  interrupted,  ///< the caller asked for the end
};
BX_API std::string_view name_of(FinishReason reason);

struct GenerateOptions {
  SamplerParams sampler;
  std::int64_t max_tokens = 512;
  std::vector<std::string> stop;  ///< texts that end the answer; need a vocabulary
  bool ignore_eos = false;        ///< no token ends the answer
  /// Called with text as soon as it is certain; pieces put together are GenerateResult::text.
  std::function<void(std::string_view)> on_text;
  /// Looked at between tokens.
  const std::atomic<bool>* interrupted = nullptr;
};

struct BX_API GenerateResult {
  std::string text;                     ///< generated text; empty without a vocabulary
  std::vector<std::int32_t> token_ids;  ///< generated, the end-of-sequence token excluded
  /// The end-of-sequence token that ended the answer; empty when something else did.
  std::optional<std::int32_t> stop_token;
  std::int64_t prompt_tokens = 0;
  FinishReason finish_reason = FinishReason::length;
  bool context_full = false;  ///< length was max_seq_len, not max_tokens
  /// Times are taken when the device is done, not when work is queued.
  double time_to_first_token_ms = 0;  ///< of the prompt alone when no token was generated
  double total_ms = 0;
  std::vector<double> per_token_ms;  ///< one per token: since the one before (the first: since
                                     ///< the start)
  StepCounts per_token;              ///< what a further token takes; zeros when there was none
  double prefill_tokens_per_sec() const;
  /// Tokens after the first, per second; of one token alone, one per its time.
  double decode_tokens_per_sec() const;
};

/// Feeds `prompt` (model ids, at least one) to `state` and generates. Afterwards the state holds
/// the prompt and every id of token_ids, and nothing else, at any run-ahead and however it ended;
/// with one exception: an interruption during the prompt leaves the state after the chunk at hand.
/// A prompt at position 0 begins with the token that the model's description names, if it names one.
/// The end-of-sequence tokens are those of the vocabulary and those of the description. `vocabulary`
/// may be null: no text, no end of sequence.
/// Throws Error(invalid_argument) for bad options, an empty prompt, or a prompt that does not fit
/// max_seq_len; Error(device) when logits are not finite.
BX_API GenerateResult generate(Model& model, State& state, const Vocabulary* vocabulary,
                               std::span<const std::int32_t> prompt,
                               const GenerateOptions& options);

}  // namespace bitaxon
