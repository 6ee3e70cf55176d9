#include "generate/decoder.h"

#include <utility>

namespace bitaxon {

Decoder::Decoder(Model& model, std::vector<SegmentInput> sequences, const DecodeLimits& limits)
    : model_(model), sequences_(std::move(sequences)), limits_(limits) {}

bool Decoder::feed(std::span<const std::int32_t> prompt, const std::function<bool()>& go_on) {
  bool goes_on = true;
  std::optional<Ticket> before;
  const SegmentInput& sequence = sequences_.front();
  const StepOutput output = limits_.max_tokens > 0 ? StepOutput::token : StepOutput::none;
  const Ticket last =
      model_.feed(*sequence.state, prompt, output, sequence.sampler, [&](Ticket chunk) {
        // Waits for the previous chunk while this chunk runs. So an interruption is noticed soon,
        // and the device is not idle.
        if (before) model_.wait(*before);
        before = chunk;
        goes_on = go_on();
        return goes_on;
      });
  if (goes_on) {
    in_flight_.push_back(last);
    n_submitted_ = 1;
  } else {
    model_.wait(last);
  }
  return goes_on;
}

void Decoder::submit() {
  const bool samples = n_submitted_ < limits_.max_tokens;
  for (SegmentInput& sequence : sequences_)
    sequence.output = samples ? StepOutput::token : StepOutput::none;
  for (std::size_t i = 0; i < resume_.size(); ++i) sequences_[i].ids = {&resume_[i], 1};
  in_flight_.push_back(model_.submit(sequences_));
  if (samples && n_submitted_ > 0) counts_ = model_.last_step();
  if (n_submitted_++ == 0 || !resume_.empty())
    for (SegmentInput& sequence : sequences_) sequence.ids = {};
  resume_.clear();
}

void Decoder::submit_ahead() {
  const auto depth = static_cast<std::size_t>(limits_.run_ahead.value_or(model_.run_ahead())) + 1;
  const std::int64_t n_steps = limits_.max_tokens + (limits_.feeds_last ? 1 : 0);
  while (in_flight_.size() < depth && n_submitted_ < n_steps) submit();
}

std::span<const std::int32_t> Decoder::next() {
  if (!held_.empty()) {
    returned_ = std::move(held_.front());
    held_.pop_front();
    in_flight_.pop_front();
    return returned_;
  }
  submit_ahead();
  const StepResult step = model_.wait(in_flight_.front());
  in_flight_.pop_front();
  returned_.assign(step.tokens.begin(), step.tokens.end());
  return returned_;
}

void Decoder::settle() {
  // Without run-ahead, the last token has not been fed to the states yet.
  if (in_flight_.empty()) submit_ahead();
  take_back_all_but(1);
}

void Decoder::hold() {
  while (held_.size() < in_flight_.size()) {
    const StepResult step = model_.wait(in_flight_[held_.size()]);
    held_.emplace_back(step.tokens.begin(), step.tokens.end());
  }
}

void Decoder::pause() {
  hold();
  const std::size_t n_taken_back = held_.empty() ? 0 : held_.size() - 1;
  for (const SegmentInput& sequence : sequences_)
    sequence.state->rewind(static_cast<int>(n_taken_back));
  n_submitted_ -= static_cast<std::int64_t>(n_taken_back);
  in_flight_.resize(in_flight_.size() - n_taken_back);
  held_.resize(in_flight_.size());
  resume_ = held_.empty() ? returned_ : held_.front();
}

void Decoder::finish() {
  if (held_.size() < in_flight_.size()) model_.wait(in_flight_.back());
  in_flight_.clear();
  held_.clear();
}

void Decoder::take_back_all_but(std::size_t n_kept) {
  const std::size_t n_ahead = in_flight_.size();
  finish();
  if (n_ahead <= n_kept) return;  // a last token that is not fed has no step
  for (const SegmentInput& sequence : sequences_)
    sequence.state->rewind(static_cast<int>(n_ahead - n_kept));
}

}  // namespace bitaxon
