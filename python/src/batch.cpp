#include "batch.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <optional>

#include "bitaxon/error.h"
#include "errors.h"
#include "generate/answer_rules.h"
#include "generate/stop_matcher.h"
#include "sequences.h"

namespace bitaxon::python {
namespace {

/// One prompt and its answer.
class Answering {
 public:
  Answering(Model& model, const Vocabulary* vocabulary, BatchPrompt prompt, BatchAnswer& answer)
      : vocabulary_(vocabulary),
        options_(std::move(prompt.options)),
        ids_(std::move(prompt.ids)),
        stops_(options_.stop),
        ends_(ending_ids(model.spec(), vocabulary, options_)),
        answer_(answer) {
    if (ids_.empty())
      throw Error(ErrorKind::invalid_argument, "prompt: expected at least one token, got none");
    ids_ = fed_prompt(model.spec(), 0, ids_);
    model.check_ids(ids_);
    options_.sampler.validate();
    answer_.prompt_tokens = std::ssize(ids_);
    const std::int64_t room = model.context() - std::ssize(ids_);
    if (room < 0)
      throw Error(
          ErrorKind::invalid_argument,
          fmt::format("prompt: expected at most {} tokens, the context of the model, got {}",
                      model.context(), ids_.size()));
    max_tokens_ = std::min(options_.max_tokens, room + 1);
    is_done_ = max_tokens_ <= 0;
    if (vocabulary_ != nullptr) stream_.emplace(vocabulary_->tokenizer());
  }

  Sequence sequence;

  bool is_done() const { return is_done_; }
  bool is_decoding() const { return n_fed_ == ids_.size(); }
  /// The segment of the next step, with at most `most` rows of the prompt.
  SegmentInput segment(State& state, std::size_t most) {
    if (is_decoding()) return {.state = &state, .ids = {}, .sampler = options_.sampler};
    const std::size_t n = std::min(most, ids_.size() - n_fed_);
    const auto ids = std::span(ids_).subspan(n_fed_, n);
    n_fed_ += n;
    return {.state = &state,
            .ids = ids,
            .sampler = options_.sampler,
            .output = is_decoding() ? StepOutput::token : StepOutput::none};
  }
  void accept(std::int32_t token) {
    if (token == StepResult::kNotFinite)
      throw Error(ErrorKind::device,
                  "the logits are not finite: the weights hold NaN or Inf, or values overflow");
    if (std::ranges::find(ends_, token) != ends_.end()) return finish(FinishReason::stop);
    answer_.ids.push_back(token);
    if (stream_) answer_.text += stops_.push(stream_->push(vocabulary_->to_tokenizer(token)));
    if (stops_.found()) return finish(FinishReason::stop);
    if (std::ssize(answer_.ids) == max_tokens_) finish(FinishReason::length);
  }

 private:
  void finish(FinishReason reason) {
    is_done_ = true;
    answer_.finish_reason = reason;
    if (!stream_) return;
    if (!stops_.found()) answer_.text += stops_.push(stream_->finish());
    if (stops_.found())
      answer_.finish_reason = FinishReason::stop;
    else
      answer_.text += stops_.finish();
  }

  const Vocabulary* vocabulary_;
  GenerateOptions options_;
  std::vector<std::int32_t> ids_;  ///< the prompt
  std::size_t n_fed_ = 0;
  std::int64_t max_tokens_ = 0;
  bool is_done_ = false;
  StopMatcher stops_;
  const std::vector<std::int32_t> ends_;
  std::optional<StreamDecoder> stream_;
  BatchAnswer& answer_;
};

/// Frees the slots of the answers that are under way, also after an exception.
class Active {
 public:
  explicit Active(LoadedModel& model) : model_(model) {}
  Active(const Active&) = delete;
  Active& operator=(const Active&) = delete;
  ~Active() {
    for (const auto& one : items) model_.forget(one->sequence);
  }
  void drop_done() {
    std::erase_if(items, [this](const auto& one) {
      if (!one->is_done()) return false;
      model_.forget(one->sequence);
      return true;
    });
  }
  std::vector<std::unique_ptr<Answering>> items;

 private:
  LoadedModel& model_;
};

/// One step of all answers that are under way: a token for each that decodes, and parts of prompts.
void step(LoadedModel& model, Active& active) {
  std::vector<Sequence*> sequences;
  std::size_t n_prompts = 0;
  for (const auto& one : active.items) {
    sequences.push_back(&one->sequence);
    n_prompts += one->is_decoding() ? 0 : 1;
  }
  const std::size_t n_decoding = active.items.size() - n_prompts;
  const std::size_t rows_each = n_prompts == 0 ? 1 : (kMaxRows - n_decoding) / n_prompts;
  std::vector<SegmentInput> segments;
  for (const auto& one : active.items)
    segments.push_back(one->segment(model.state_of(one->sequence, sequences), rows_each));
  const StepResult result = model.model().wait(model.model().submit(segments));
  for (std::size_t i = 0; i < active.items.size(); ++i)
    if (segments[i].output == StepOutput::token) active.items[i]->accept(result.tokens[i]);
}

}  // namespace

std::vector<BatchAnswer> generate_batch(LoadedModel& model, const Vocabulary* vocabulary,
                                        std::vector<BatchPrompt> prompts,
                                        const std::atomic<bool>& cancelled) {
  model.take_turn(nullptr);
  std::vector<BatchAnswer> answers(prompts.size());
  std::deque<std::unique_ptr<Answering>> waiting;
  for (std::size_t i = 0; i < prompts.size(); ++i)
    waiting.push_back(
        std::make_unique<Answering>(model.model(), vocabulary, std::move(prompts[i]), answers[i]));
  const auto most = std::min<std::size_t>(kMaxSegments, static_cast<std::size_t>(model.n_slots()));
  Active active(model);
  for (;;) {
    active.drop_done();
    while (active.items.size() < most && !waiting.empty()) {
      active.items.push_back(std::move(waiting.front()));
      waiting.pop_front();
    }
    active.drop_done();  // answers of no tokens
    if (active.items.empty() && waiting.empty()) return answers;
    if (active.items.empty()) continue;
    if (cancelled) throw Cancelled();
    step(model, active);
  }
}

}  // namespace bitaxon::python
