// Generates text from a prompt.
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

/// A tokenizer that works with the ids of a model. A checkpoint ported from another vocabulary has
/// a mapping: encode() maps the tokenizer's ids to the model's, and decode() maps them back.
class BX_API Vocabulary {
 public:
  /// `mapping` is the text of the checkpoint's vocab_mapping, or empty. Throws Error(format) if the
  /// mapping cannot be read. Throws Error(format) with both numbers if the model ids, after the
  /// mapping, do not fit vocab_size.
  Vocabulary(Tokenizer tokenizer, std::string_view mapping, std::int64_t vocab_size);

  /// Checks that a text is UTF-8. The byte tokenizer accepts any bytes. Throws
  /// Error(invalid_argument) that names `what` and the byte.
  void check_utf8(const std::string& what, std::string_view text) const;
  /// Throws Error(invalid_argument) that names the first token that the mapping does not map.
  std::vector<std::int32_t> encode(std::string_view text) const;
  std::string decode(std::span<const std::int32_t> ids, bool skip_special = false) const;
  /// The model ids that end a text. Tokens that the mapping does not map are left out.
  std::vector<std::int32_t> ends_of_sequence() const;
  const Tokenizer& tokenizer() const;
  /// The tokenizer's id for a model id. -1 if there is none; -1 decodes to nothing.
  std::int32_t to_tokenizer(std::int32_t id) const;

 private:
  struct Impl;
  std::shared_ptr<const Impl> impl_;
};

enum class FinishReason : std::uint8_t {
  stop,         ///< end of sequence or a stop string
  length,       ///< max_tokens or max_seq_len
  interrupted,  ///< the caller's flag was set
};
BX_API std::string_view name_of(FinishReason reason);

struct GenerateOptions {
  SamplerParams sampler;
  std::int64_t max_tokens = 512;
  std::vector<std::string> stop;  ///< texts that end the answer; they need a vocabulary
  bool ignore_eos = false;        ///< no token ends the answer
  /// Called with each piece of text as soon as no later token can change it. The joined pieces are
  /// GenerateResult::text.
  std::function<void(std::string_view)> on_text;
  /// A flag that ends the answer when it is set, or null. It is checked after each token and after
  /// each chunk of the prompt.
  const std::atomic<bool>* interrupted = nullptr;
};

struct BX_API GenerateResult {
  std::string text;                     ///< generated text; empty without a vocabulary
  std::vector<std::int32_t> token_ids;  ///< generated ids without the end-of-sequence token
  /// The end-of-sequence token that ended the answer. Empty if something else ended it.
  std::optional<std::int32_t> stop_token;
  std::int64_t prompt_tokens = 0;
  FinishReason finish_reason = FinishReason::length;
  bool context_full = false;  ///< max_seq_len ended the answer, not max_tokens
  // Times are measured until the device is done, not until its work is queued.
  double time_to_first_token_ms = 0;  ///< the prompt's time if no token was generated
  double total_ms = 0;
  std::vector<double> per_token_ms;  ///< one per token: the time since the token before; for the
                                     ///< first token, since the start
  StepCounts per_token;              ///< counts of a step after the first; zeros without one
  double prefill_tokens_per_sec() const;
  /// The rate of the tokens after the first. If there is only one token, the rate of that token.
  double decode_tokens_per_sec() const;
};

/// Feeds `prompt` (model ids, at least one) to `state` and generates an answer. Afterwards the
/// state includes exactly the prompt and the ids in token_ids, whatever the run-ahead is and
/// however the answer ended. There is one exception: after an interruption during the prompt, the
/// state ends after the latest chunk that was fed. A prompt at position 0 begins with the token that
/// the model's description names, if it names one. The end-of-sequence tokens are those of the
/// vocabulary and those of the description. If `vocabulary` is null, there is no text, and no token
/// ends the answer. Throws Error(invalid_argument) for bad options, an empty prompt, or a prompt that
/// does not fit max_seq_len. Throws Error(device) if logits are not finite.
BX_API GenerateResult generate(Model& model, State& state, const Vocabulary* vocabulary,
                               std::span<const std::int32_t> prompt,
                               const GenerateOptions& options);

}  // namespace bitaxon
