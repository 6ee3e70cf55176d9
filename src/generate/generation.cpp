#include "generate/generation.h"

#include <fmt/format.h>

#include <algorithm>

#include "bitaxon/error.h"
#include "generate/answer_rules.h"

namespace bitaxon {
namespace {

double ms_between(std::chrono::steady_clock::time_point begin,
                  std::chrono::steady_clock::time_point end) {
  return std::chrono::duration<double, std::milli>(end - begin).count();
}

}  // namespace

Generation::Generation(Model& model, State& state, const Vocabulary* vocabulary,
                       GenerateOptions options)
    : model_(model),
      state_(state),
      vocabulary_(vocabulary),
      options_(std::move(options)),
      stops_(options_.stop),
      ends_of_sequence_(ending_ids(model.spec(), vocabulary, options_)) {
  if (vocabulary != nullptr) stream_.emplace(vocabulary->tokenizer());
}

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
    if (options_.on_token) options_.on_token(token);
    if (stream_) emit(stream_->push(vocabulary_->to_tokenizer(token)));
  } catch (...) {  // thrown by the caller's functions
    decoder_->settle();
    is_decoding_ = false;
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

bool Generation::advance() {
  const std::int32_t token = decoder_->next().front();
  if (result_.prefill_ms == 0) result_.prefill_ms = ms_between(start_, Clock::now());
  if (token < 0) {
    decoder_->take_back();
    is_decoding_ = false;
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
    is_decoding_ = false;
  } else if (accept(token)) {
    decoder_->settle();
    is_decoding_ = false;
  }
  return is_decoding_;
}

void Generation::finish_text() {
  if (!stream_) return;
  if (!stops_.found()) emit(stream_->finish());
  if (stops_.found()) return;
  const std::string rest = stops_.finish();
  result_.text += rest;
  if (options_.on_text && !rest.empty()) options_.on_text(rest);
}

bool Generation::begin(std::span<const std::int32_t> prompt) {
  check(prompt);
  const std::vector<std::int32_t> fed = fed_prompt(model_.spec(), state_.position(), prompt);
  prompt = fed;
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
    is_decoding_ = true;
  }
  return is_decoding_;
}

GenerateResult Generation::finish() {
  if (is_decoding_) {  // the caller ends the answer early
    decoder_->settle();
    result_.finish_reason = FinishReason::interrupted;
    is_decoding_ = false;
  }
  finish_text();
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

}  // namespace bitaxon
