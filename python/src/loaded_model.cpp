#include "loaded_model.h"

#include <algorithm>

#include "bitaxon/error.h"
#include "sequences.h"
#include "stream.h"
#include "tokenizer_handle.h"
#include "waiting.h"

namespace nb = nanobind;

namespace bitaxon::python {

LoadedModel::LoadedModel(Session session, std::string config, int n_slots)
    : session_(std::move(session)),
      config_(std::move(config)),
      n_slots_(n_slots),
      queue_(std::make_unique<JobQueue>()) {}

LoadedModel::~LoadedModel() {
  // A child made by fork has no thread of the queue that could be waited for.
  if (is_in_child()) {
    static_cast<void>(queue_.release());
    return;
  }
  const Unlocked unlocked;
  queue_.reset();  // a step may be under way
}

void LoadedModel::check_process() const {
  if (is_in_child())
    throw Error(
        ErrorKind::unsupported,
        "model: expected the process that has loaded it, got a child made by fork; load the "
        "model in the child, or start processes with \"spawn\"");
}

void LoadedModel::run(Work work, std::function<void()> undo, std::shared_ptr<Job>* left) {
  check_process();
  if (!undo) return wait_for(*queue_->post(std::move(work)));
  struct Outcome {
    std::mutex mutex;
    bool is_done = false, is_interrupted = false;
  };
  const auto outcome = std::make_shared<Outcome>();
  const auto job = queue_->post([work = std::move(work), undo, outcome](const auto& cancelled) {
    work(cancelled);  // work that fails has changed nothing
    const std::lock_guard lock(outcome->mutex);
    outcome->is_done = true;
    if (outcome->is_interrupted) undo();
  });
  wait_for(*job, [&] {
    const std::lock_guard lock(outcome->mutex);
    outcome->is_interrupted = true;
    if (left != nullptr) *left = job;
    if (outcome->is_done) queue_->post([undo](const std::atomic<bool>&) { undo(); });
  });
}

void LoadedModel::drain() {
  if (is_in_child()) return;
  queue_->cancel_all();
  const auto last = queue_->post([](const std::atomic<bool>&) {});
  last->wait();
}

Vocabulary LoadedModel::vocabulary(const TokenizerHandle& tokenizer) {
  for (const auto& [id, vocabulary] : vocabularies_)
    if (id == tokenizer.id) return vocabulary;
  constexpr std::size_t kMost = 8;
  if (vocabularies_.size() >= kMost) vocabularies_.erase(vocabularies_.begin());
  Vocabulary made(tokenizer.tokenizer, session_.model.vocab_mapping(), spec().vocab_size);
  vocabularies_.emplace_back(tokenizer.id, made);
  return made;
}

State& LoadedModel::state_of(Sequence& sequence, std::span<Sequence* const> kept) {
  if (sequence.state) {
    with_slot_.remove(&sequence);
    with_slot_.push_front(&sequence);
    return *sequence.state;
  }
  std::optional<State> state;
  while (!state) {
    if (has_free_slot()) {
      state = session_.model.new_state();
      break;
    }
    const auto oldest = std::find_if(with_slot_.rbegin(), with_slot_.rend(), [&](Sequence* other) {
      return std::ranges::find(kept, other) == kept.end();
    });
    if (oldest == with_slot_.rend())
      throw Error(ErrorKind::invalid_argument,
                  "model: expected fewer sequences in one step than the model has slots");
    park(**oldest);
  }
  if (sequence.parked.position > 0) state->restore(sequence.parked);
  adopt(sequence, *std::move(state));
  return *sequence.state;
}

void LoadedModel::park(Sequence& sequence) {
  if (sequence.before_parking) sequence.before_parking();
  sequence.parked = sequence.state->snapshot();
  sequence.state.reset();
  with_slot_.remove(&sequence);
}

void LoadedModel::park_all() {
  take_turn(nullptr);
  while (!with_slot_.empty()) park(*with_slot_.front());
}

void LoadedModel::adopt(Sequence& sequence, State state) {
  sequence.parked = {};
  sequence.state = std::move(state);
  with_slot_.push_front(&sequence);
}

void LoadedModel::take_turn(Stream* next) {
  if (turn_ != nullptr && turn_ != next) turn_->hold();
  turn_ = next;
}

void LoadedModel::forget(Sequence& sequence) { with_slot_.remove(&sequence); }

}  // namespace bitaxon::python
