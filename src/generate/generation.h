// One generation, token by token.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "bitaxon/generate.h"
#include "generate/decoder.h"
#include "generate/stop_matcher.h"

namespace bitaxon {

/// One call of generate(): turns tokens into text, and decides which token is the last. Call begin()
/// once, advance() while it returns true, and then finish(). While a generation has begun and has
/// not finished, only hold() allows other code to use the model, and no other code may use the
/// state.
class Generation {
 public:
  Generation(Model& model, State& state, const Vocabulary* vocabulary, GenerateOptions options);
  Generation(const Generation&) = delete;
  Generation& operator=(const Generation&) = delete;

  /// Feeds the prompt. Returns whether a token may follow. Throws as generate() does.
  bool begin(std::span<const std::int32_t> prompt);
  /// Generates a token. Returns whether another one may follow.
  bool advance();
  /// Ends the generation at any time, so that the state includes exactly the prompt and the ids of
  /// the result. Gives the rest of the text to GenerateOptions::on_text.
  GenerateResult finish();
  /// Replaces GenerateOptions::interrupted. Null: nothing interrupts.
  void watch(const std::atomic<bool>* interrupted) { options_.interrupted = interrupted; }
  /// Waits for the steps in flight, so that other code may submit steps to the model.
  void hold() { decoder_->hold(); }
  /// Lets other code replace the state by a copy, as Decoder::pause() says.
  void pause() { decoder_->pause(); }
  /// What was generated so far.
  const GenerateResult& so_far() const { return result_; }

 private:
  using Clock = std::chrono::steady_clock;

  void check(std::span<const std::int32_t> prompt) const;
  bool interrupted() const {
    return (options_.interrupted != nullptr && *options_.interrupted) ||
           (options_.wants_end && options_.wants_end());
  }
  bool accept(std::int32_t token);
  void emit(const std::string& text);
  void finish_text();

  Model& model_;
  State& state_;
  const Vocabulary* vocabulary_;
  GenerateOptions options_;
  StopMatcher stops_;
  const std::vector<std::int32_t> ends_of_sequence_;
  std::optional<StreamDecoder> stream_;
  std::optional<Decoder> decoder_;
  std::int64_t max_tokens_ = 0;
  bool is_decoding_ = false;  ///< the last token was not generated yet
  Clock::time_point start_;
  Clock::time_point latest_;
  GenerateResult result_;
};

}  // namespace bitaxon
