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

/// A tokenizer that works with the ids of a model. A checkpoint that was ported from another
/// vocabulary has a mapping. Then encode() maps the tokenizer's ids to model ids, and decode() maps
/// model ids back.
class BX_API Vocabulary {
 public:
  /// `mapping` is the text of the checkpoint's vocab_mapping, or empty. Throws Error(format) if the
  /// mapping cannot be read, and if it gives a model id that is not below vocab_size. Without a
  /// mapping, throws Error(format) if the tokenizer has more than vocab_size ids.
  Vocabulary(Tokenizer tokenizer, std::string_view mapping, std::int64_t vocab_size);

  /// Checks that a text is UTF-8, unless the tokenizer is the byte tokenizer, which accepts any
  /// bytes. Throws Error(invalid_argument) that names `what` and the first invalid byte.
  void check_utf8(const std::string& what, std::string_view text) const;
  /// The model ids of a text. Throws Error(invalid_argument) that names the first token that the
  /// mapping does not map.
  std::vector<std::int32_t> encode(std::string_view text, EncodeOptions options = {}) const;
  std::string decode(std::span<const std::int32_t> ids, bool skip_special = false) const;
  /// The model ids that end a text. Tokens that the mapping does not map are left out.
  std::vector<std::int32_t> ends_of_sequence() const;
  const Tokenizer& tokenizer() const;
  /// Whether the checkpoint has a mapping. Then it may lack tokens that encode() needs.
  bool is_mapped() const;
  /// The model id of a tokenizer's id. Empty if the mapping does not map the token.
  std::optional<std::int32_t> to_model(std::int32_t id) const;
  /// Returns the tokenizer's id for a model id. Returns -1 for a model id that no token is mapped to;
  /// -1 decodes to an empty text.
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
  std::vector<std::string> stop;            ///< texts that end the answer; they need a vocabulary
  bool ignore_eos = false;                  ///< no end-of-sequence token ends the answer
  std::vector<std::int32_t> stop_ids = {};  ///< more tokens that end the answer
  /// Called with each piece of the text, as soon as later tokens cannot change the piece. The
  /// joined pieces are GenerateResult::text.
  std::function<void(std::string_view)> on_text;
  /// Called with each generated id, before its text.
  std::function<void(std::int32_t)> on_token;
  /// A flag that ends the answer when it is set. May be null. The flag is checked after each token
  /// and after each chunk of the prompt.
  const std::atomic<bool>* interrupted = nullptr;
  /// A second way to end the answer: called where the flag is checked, and ends the answer by
  /// returning true.
  std::function<bool()> wants_end;
};

struct BX_API GenerateResult {
  std::string text;                     ///< generated text; empty without a vocabulary
  std::vector<std::int32_t> token_ids;  ///< generated ids without the end-of-sequence token
  /// The end-of-sequence token that ended the answer. Empty if something else ended it.
  std::optional<std::int32_t> stop_token;
  std::int64_t prompt_tokens = 0;
  std::int64_t cached_tokens = 0;  ///< tokens that the state held before the prompt
  FinishReason finish_reason = FinishReason::length;
  bool context_full = false;  ///< the context ended the answer, not max_tokens
  /// Whether the state ends before the last of token_ids, because the context had no place for it.
  bool last_is_unfed = false;
  // A time ends when the device is done, not when the work is queued.
  double prefill_ms = 0;              ///< the time until the whole prompt was fed
  double time_to_first_token_ms = 0;  ///< if no token was generated, the time of the prompt
  double total_ms = 0;
  std::vector<double> per_token_ms;  ///< for each token the time since the previous token; for the
                                     ///< first token, the time since the start
  StepCounts per_token;              ///< counts of one decode step; zeros if there was none
  double prefill_tokens_per_sec() const;
  /// The rate of the tokens after the first. If there is only one token, the rate of that token.
  double decode_tokens_per_sec() const;
};

/// Feeds `prompt` (model ids, at least one) to `state` and generates an answer, at most one token more
/// than the context has room for. Afterwards the state includes exactly the prompt and the ids in
/// token_ids, for every run-ahead and for every reason to finish. There are two exceptions. After an
/// interruption during the prompt, the state ends after the latest chunk that was fed. With
/// GenerateResult::last_is_unfed it ends before the last token. At position 0, the token
/// ModelSpec::beginning is fed before the prompt, unless the prompt already begins with it. The
/// answer ends at the end-of-sequence tokens of the vocabulary and at ModelSpec::ends. If
/// `vocabulary` is null, there is no text, and only ModelSpec::ends end the answer. Throws
/// Error(invalid_argument) for bad options, an empty prompt, or a prompt that does not fit
/// max_seq_len. Throws Error(device) if logits are not finite.
BX_API GenerateResult generate(Model& model, State& state, const Vocabulary* vocabulary,
                               std::span<const std::int32_t> prompt,
                               const GenerateOptions& options);

}  // namespace bitaxon
