#include "bitaxon/generate.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <deque>

#include "bitaxon/error.h"
#include "bitaxon/step_limits.h"
#include "core/assert.h"
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

/// One call of generate(). Decode step k (k >= 1) feeds token k-1 and samples token k; step 0 is
/// the end of the prompt. The steps that may follow are submitted before the token they continue
/// from is known; when generation ends earlier than they assumed, the state goes back by so many
/// steps.
class Generation {
 public:
  Generation(Model& model, State& state, const Vocabulary* vocabulary,
             const GenerateOptions& options)
      : model_(model),
        state_(state),
        vocabulary_(vocabulary),
        options_(options),
        stops_(options.stop) {
    if (vocabulary != nullptr) {
      decoder_.emplace(vocabulary->tokenizer());
      if (!options.ignore_eos) ends_of_sequence_ = vocabulary->ends_of_sequence();
    }
  }

  GenerateResult run(std::span<const std::int32_t> prompt);

 private:
  void check(std::span<const std::int32_t> prompt) const;
  bool interrupted() const { return options_.interrupted != nullptr && *options_.interrupted; }
  bool feed_prompt(std::span<const std::int32_t> prompt);
  void submit_ahead();
  std::int32_t next_token();
  /// Leaves `n_kept` of the steps that are still in flight counted in the state.
  void take_back_all_but(std::size_t n_kept);
  void decode();
  void settle();
  bool accept(std::int32_t token);
  void emit(const std::string& text);
  void finish_text();

  Model& model_;
  State& state_;
  const Vocabulary* vocabulary_;
  const GenerateOptions& options_;
  StopMatcher stops_;
  std::optional<StreamDecoder> decoder_;
  std::vector<std::int32_t> ends_of_sequence_;
  std::int64_t max_tokens_ = 0;
  std::int64_t n_sampling_steps_ = 0;  ///< submitted, the end of the prompt included
  std::deque<Ticket> in_flight_;       ///< submitted and not waited for, oldest first
  Clock::time_point start_;
  Clock::time_point latest_;
  GenerateResult result_;
};

void Generation::check(std::span<const std::int32_t> prompt) const {
  options_.sampler.validate();
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
  state_.check_room(std::ssize(prompt));
}

/// False when interrupted before the end of the prompt was submitted.
bool Generation::feed_prompt(std::span<const std::int32_t> prompt) {
  model_.check_ids(prompt);
  const StepOptions last{max_tokens_ > 0 ? StepOutput::token : StepOutput::none, false};
  std::optional<Ticket> before;
  while (prompt.size() > kMaxRows) {
    const Ticket ticket = model_.feed(state_, prompt.first(kMaxRows), {StepOutput::none, false});
    prompt = prompt.subspan(kMaxRows);
    // The chunk before is waited for while this one runs, so that an interruption is noticed soon
    // and the device is never idle.
    if (before) model_.wait(*before);
    if (interrupted()) {
      model_.wait(ticket);
      return false;
    }
    before = ticket;
  }
  in_flight_.push_back(model_.feed(state_, prompt, last, options_.sampler));
  if (max_tokens_ > 0) n_sampling_steps_ = 1;
  return true;
}

/// Fills the pipeline: up to run_ahead steps beyond the one that is waited for next. The step after
/// the last token that may be sampled only feeds it.
void Generation::submit_ahead() {
  const auto depth = static_cast<std::size_t>(model_.run_ahead()) + 1;
  while (in_flight_.size() < depth && n_sampling_steps_ <= max_tokens_) {
    const bool samples = n_sampling_steps_ < max_tokens_;
    const SegmentInput feed_back{&state_, {}, options_.sampler};
    in_flight_.push_back(
        model_.submit({&feed_back, 1}, {samples ? StepOutput::token : StepOutput::none, false}));
    if (samples) result_.per_token = model_.backend().last_step();
    ++n_sampling_steps_;
  }
}

std::int32_t Generation::next_token() {
  const StepResult step = model_.wait(in_flight_.front());
  in_flight_.pop_front();
  BX_ASSERT(step.tokens.size() == 1, "a sampling step of one sequence returns one token");
  return step.tokens[0];
}

void Generation::take_back_all_but(std::size_t n_kept) {
  if (!in_flight_.empty()) model_.wait(in_flight_.back());
  state_.rewind(static_cast<int>(in_flight_.size() - n_kept));
  in_flight_.clear();
}

void Generation::emit(const std::string& text) {
  const std::string certain = stops_.push(text);
  result_.text += certain;
  if (options_.on_text && !certain.empty()) options_.on_text(certain);
}

/// Takes in one token; true when it is the last.
bool Generation::accept(std::int32_t token) {
  const Clock::time_point now = Clock::now();
  result_.per_token_ms.push_back(ms_between(latest_, now));
  if (result_.token_ids.empty()) result_.time_to_first_token_ms = ms_between(start_, now);
  latest_ = now;
  result_.token_ids.push_back(token);
  try {
    if (decoder_) emit(decoder_->push(vocabulary_->to_tokenizer(token)));
  } catch (...) {  // the caller's on_text
    settle();
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
    submit_ahead();
    const std::int32_t token = next_token();
    if (token < 0) {
      take_back_all_but(0);
      throw Error(ErrorKind::device,
                  fmt::format("the logits for position {} are not finite: the weights hold NaN or "
                              "Inf, or values overflow",
                              state_.position()));
    }
    if (std::ranges::find(ends_of_sequence_, token) != ends_of_sequence_.end()) {
      take_back_all_but(0);
      if (result_.token_ids.empty())
        result_.time_to_first_token_ms = ms_between(start_, Clock::now());
      result_.finish_reason = FinishReason::stop;
      result_.stop_token = token;
      return;
    }
    if (accept(token)) break;
  }
  settle();
}

/// Brings the state to the end of the tokens accepted so far. The last one belongs to it, too;
/// without run-ahead it has not been fed yet.
void Generation::settle() {
  if (in_flight_.empty()) submit_ahead();
  take_back_all_but(1);
}

void Generation::finish_text() {
  if (!decoder_) return;
  if (!stops_.found()) emit(decoder_->finish());
  if (stops_.found()) return;
  const std::string rest = stops_.finish();
  result_.text += rest;
  if (options_.on_text && !rest.empty()) options_.on_text(rest);
}

GenerateResult Generation::run(std::span<const std::int32_t> prompt) {
  check(prompt);
  result_.prompt_tokens = std::ssize(prompt);
  const std::int64_t room = model_.spec().max_seq_len - state_.position() - std::ssize(prompt);
  max_tokens_ = std::min(options_.max_tokens, room);
  result_.token_ids.reserve(static_cast<std::size_t>(std::min<std::int64_t>(max_tokens_, 65536)));
  result_.per_token_ms.reserve(result_.token_ids.capacity());
  start_ = latest_ = Clock::now();
  if (!feed_prompt(prompt)) {
    result_.finish_reason = FinishReason::interrupted;
  } else if (max_tokens_ == 0) {
    model_.wait(in_flight_.back());
  } else {
    decode();
    finish_text();
  }
  const Clock::time_point end = Clock::now();
  result_.total_ms = ms_between(start_, end);
  if (result_.time_to_first_token_ms == 0) result_.time_to_first_token_ms = result_.total_ms;
  result_.context_full = result_.finish_reason == FinishReason::length &&
                         state_.position() >= model_.spec().max_seq_len;
  return std::move(result_);
}

}  // namespace

GenerateResult generate(Model& model, State& state, const Vocabulary* vocabulary,
                        std::span<const std::int32_t> prompt, const GenerateOptions& options) {
  return Generation(model, state, vocabulary, options).run(prompt);
}

}  // namespace bitaxon
