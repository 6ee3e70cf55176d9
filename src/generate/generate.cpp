#include "bitaxon/generate.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "bitaxon/error.h"
#include "generate/decoder.h"
#include "generate/stop_matcher.h"

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

namespace {

using Clock = std::chrono::steady_clock;

double ms_between(Clock::time_point begin, Clock::time_point end) {
  return std::chrono::duration<double, std::milli>(end - begin).count();
}

/// One call of generate(): turns tokens into text, and decides which token is the last.
class Generation {
 public:
  Generation(Model& model, State& state, const Vocabulary* vocabulary,
             const GenerateOptions& options)
      : model_(model),
        state_(state),
        vocabulary_(vocabulary),
        options_(options),
        stops_(options.stop) {
    if (vocabulary != nullptr) stream_.emplace(vocabulary->tokenizer());
    if (options.ignore_eos) return;
    if (vocabulary != nullptr) ends_of_sequence_ = vocabulary->ends_of_sequence();
    const std::vector<std::int32_t>& described = model.spec().ends;
    ends_of_sequence_.insert(ends_of_sequence_.end(), described.begin(), described.end());
  }

  GenerateResult run(std::span<const std::int32_t> prompt);

 private:
  void check(std::span<const std::int32_t> prompt) const;
  bool interrupted() const { return options_.interrupted != nullptr && *options_.interrupted; }
  void decode();
  bool accept(std::int32_t token);
  void emit(const std::string& text);
  void finish_text();

  Model& model_;
  State& state_;
  const Vocabulary* vocabulary_;
  const GenerateOptions& options_;
  StopMatcher stops_;
  std::optional<StreamDecoder> stream_;
  std::vector<std::int32_t> ends_of_sequence_;
  std::optional<Decoder> decoder_;
  std::int64_t max_tokens_ = 0;
  Clock::time_point start_;
  Clock::time_point latest_;
  GenerateResult result_;
};

void Generation::check(std::span<const std::int32_t> prompt) const {
  if (options_.max_tokens < 0)
    throw Error(
        ErrorKind::invalid_argument,
        fmt::format("max-tokens: expected a whole number >= 0, got {}", options_.max_tokens));
  if (prompt.empty())
    throw Error(ErrorKind::invalid_argument, "prompt: expected at least one token, got none");
  for (const std::string& stop : options_.stop)
    if (stop.empty())
      throw Error(ErrorKind::invalid_argument, "stop: expected a text that is not empty");
  if (!options_.stop.empty() && vocabulary_ == nullptr)
    throw Error(ErrorKind::invalid_argument,
                "stop: expected a tokenizer to find texts with, got none");
}

void Generation::emit(const std::string& text) {
  const std::string certain = stops_.push(text);
  result_.text += certain;
  if (options_.on_text && !certain.empty()) options_.on_text(certain);
}

/// Adds one token to the result. Returns true if it is the last token of the answer.
bool Generation::accept(std::int32_t token) {
  const Clock::time_point now = Clock::now();
  result_.per_token_ms.push_back(ms_between(latest_, now));
  if (result_.token_ids.empty()) result_.time_to_first_token_ms = ms_between(start_, now);
  latest_ = now;
  result_.token_ids.push_back(token);
  try {
    if (stream_) emit(stream_->push(vocabulary_->to_tokenizer(token)));
  } catch (...) {  // thrown by the caller's on_text
    decoder_->settle();
    throw;
  }
  if (stops_.found()) {
    result_.finish_reason = FinishReason::stop;
    return true;
  }
  if (interrupted()) {
    result_.finish_reason = FinishReason::interrupted;
    return true;
  }
  return std::ssize(result_.token_ids) == max_tokens_;
}

void Generation::decode() {
  for (;;) {
    const std::int32_t token = decoder_->next().front();
    if (result_.prefill_ms == 0) result_.prefill_ms = ms_between(start_, Clock::now());
    if (token < 0) {
      decoder_->take_back();
      throw Error(ErrorKind::device,
                  fmt::format("the logits for position {} are not finite: the weights hold NaN or "
                              "Inf, or values overflow",
                              state_.position()));
    }
    if (std::ranges::find(ends_of_sequence_, token) != ends_of_sequence_.end()) {
      decoder_->take_back();
      if (result_.token_ids.empty())
        result_.time_to_first_token_ms = ms_between(start_, Clock::now());
      result_.finish_reason = FinishReason::stop;
      result_.stop_token = token;
      return;
    }
    if (accept(token)) break;
  }
  decoder_->settle();
}

void Generation::finish_text() {
  if (!stream_) return;
  if (!stops_.found()) emit(stream_->finish());
  if (stops_.found()) return;
  const std::string rest = stops_.finish();
  result_.text += rest;
  if (options_.on_text && !rest.empty()) options_.on_text(rest);
}

GenerateResult Generation::run(std::span<const std::int32_t> prompt) {
  check(prompt);
  const std::optional<std::int32_t> beginning = model_.spec().beginning;
  std::vector<std::int32_t> begun;
  if (beginning && state_.position() == 0 && prompt.front() != *beginning) {
    begun = {*beginning};
    begun.insert(begun.end(), prompt.begin(), prompt.end());
    prompt = begun;
  }
  result_.prompt_tokens = std::ssize(prompt);
  result_.cached_tokens = state_.position();
  // Decoder::feed refuses a prompt that does not fit. The last token needs no place: it is not fed
  // if there is none.
  const std::int64_t room = model_.context() - state_.position() - std::ssize(prompt);
  max_tokens_ = std::clamp<std::int64_t>(room + 1, 0, options_.max_tokens);
  result_.token_ids.reserve(static_cast<std::size_t>(std::min<std::int64_t>(max_tokens_, 65536)));
  result_.per_token_ms.reserve(result_.token_ids.capacity());
  decoder_.emplace(
      model_, std::vector<SegmentInput>{{.state = &state_, .ids = {}, .sampler = options_.sampler}},
      DecodeLimits{.max_tokens = max_tokens_, .feeds_last = max_tokens_ <= room});
  start_ = latest_ = Clock::now();
  if (!decoder_->feed(prompt, [&] { return !interrupted(); })) {
    result_.finish_reason = FinishReason::interrupted;
  } else if (max_tokens_ == 0) {
    decoder_->finish();
  } else {
    decode();
    finish_text();
  }
  result_.per_token = decoder_->counts();
  const Clock::time_point end = Clock::now();
  result_.total_ms = ms_between(start_, end);
  if (result_.prefill_ms == 0) result_.prefill_ms = result_.total_ms;
  if (result_.time_to_first_token_ms == 0) result_.time_to_first_token_ms = result_.total_ms;
  result_.context_full =
      result_.finish_reason == FinishReason::length && state_.position() >= model_.context();
  result_.last_is_unfed =
      result_.context_full && state_.position() < result_.cached_tokens + result_.prompt_tokens +
                                                      std::ssize(result_.token_ids);
  return std::move(result_);
}

}  // namespace

GenerateResult generate(Model& model, State& state, const Vocabulary* vocabulary,
                        std::span<const std::int32_t> prompt, const GenerateOptions& options) {
  return Generation(model, state, vocabulary, options).run(prompt);
}

}  // namespace bitaxon
