#include "sequences.h"

#include <fmt/format.h>

#include <algorithm>

#include "bitaxon/error.h"
#include "errors.h"

namespace bitaxon::python {
namespace {

/// Sequences of one batch that take part in the same steps.
using Group = std::vector<Sequence*>;

std::vector<Group> groups_of(const Batch& batch, std::size_t most) {
  std::vector<Group> groups;
  for (const auto& item : batch.items) {
    if (groups.empty() || groups.back().size() == most) groups.emplace_back();
    groups.back().push_back(item.get());
  }
  return groups;
}

}  // namespace

/// Feeds ids to all sequences of a batch, and takes everything back if that fails.
class Forward {
 public:
  Forward(LoadedModel& model, Batch& batch, std::vector<std::int32_t> ids, std::size_t n_rows,
          bool all_logits)
      : model_(model),
        batch_(batch),
        ids_(std::move(ids)),
        n_rows_(n_rows),
        n_read_(all_logits ? n_rows : 1),
        most_(std::min<std::size_t>(kMaxSegments, static_cast<std::size_t>(model.n_slots()))) {}

  void run(const std::atomic<bool>& cancelled);
  void undo();
  std::int64_t start() const { return start_; }
  std::vector<float> logits;

 private:
  void check() const;
  void keep_backups();
  static void restore(Sequence& sequence, const StateSnapshot& backup);
  void feed(const Group& group, std::size_t first_sequence, const std::atomic<bool>& cancelled);
  std::size_t rows_of_step(const Group& group) const {
    return std::max<std::size_t>(1, kMaxRows / group.size());
  }
  std::size_t vocab_size() const { return static_cast<std::size_t>(model_.spec().vocab_size); }

  LoadedModel& model_;
  Batch& batch_;
  std::vector<std::int32_t> ids_;
  std::size_t n_rows_, n_read_, most_;
  std::vector<StateSnapshot> backups_;  ///< empty if rewinding is enough
  std::vector<int> n_steps_;            ///< of each sequence
  std::int64_t start_ = 0;              ///< the position before the call
};

void Forward::check() const {
  model_.model().check_ids(ids_);
  const std::int64_t context = model_.model().context();
  if (batch_.position + static_cast<std::int64_t>(n_rows_) > context)
    throw Error(ErrorKind::invalid_argument,
                fmt::format("input_ids: expected at most {} more tokens ({} of a context of {} are "
                            "taken), got {}",
                            context - batch_.position, batch_.position, context, n_rows_));
}

/// Rewinding takes back a few steps of sequences that keep their slots. Everything else needs a
/// copy of the states.
void Forward::keep_backups() {
  if (batch_.position == 0) return;  // reset() is enough
  const std::size_t rows = kMaxRows / std::min(most_, batch_.items.size());
  const bool rewinds = batch_.items.size() <= most_ &&
                       n_rows_ <= rows * static_cast<std::size_t>(model_.model().run_ahead());
  if (rewinds) return;
  for (const auto& item : batch_.items)
    backups_.push_back(item->state ? item->state->snapshot() : item->parked);
}

void Forward::feed(const Group& group, std::size_t first_sequence,
                   const std::atomic<bool>& cancelled) {
  Model& model = model_.model();
  std::vector<SegmentInput> segments(group.size());
  for (std::size_t i = 0; i < group.size(); ++i)
    segments[i].state = &model_.state_of(*group[i], group);
  for (std::size_t row = 0; row < n_rows_;) {
    if (cancelled) throw Cancelled();
    const std::size_t n = std::min(rows_of_step(group), n_rows_ - row);
    const bool is_last = row + n == n_rows_;
    const StepOutput output = n_read_ > 1 ? StepOutput::all_logits
                              : is_last   ? StepOutput::last_logits
                                          : StepOutput::none;
    for (std::size_t i = 0; i < group.size(); ++i) {
      segments[i].ids = std::span(ids_).subspan((first_sequence + i) * n_rows_ + row, n);
      segments[i].output = output;
    }
    const Ticket ticket = model.submit(segments);
    for (std::size_t i = 0; i < group.size(); ++i) ++n_steps_[first_sequence + i];
    model.wait(ticket);
    for (std::size_t i = 0; output != StepOutput::none && i < group.size(); ++i) {
      const std::size_t at = (first_sequence + i) * n_read_ + (n_read_ > 1 ? row : 0);
      const std::size_t n_logits = n_read_ > 1 ? n : 1;
      model.read_logits(i, std::span(logits).subspan(at * vocab_size(), n_logits * vocab_size()));
    }
    row += n;
  }
}

void Forward::run(const std::atomic<bool>& cancelled) {
  model_.take_turn(nullptr);
  check_no_stream(batch_);
  check();
  logits.resize(batch_.items.size() * n_read_ * vocab_size());
  n_steps_.assign(batch_.items.size(), 0);
  start_ = batch_.position;
  keep_backups();
  try {
    std::size_t first = 0;
    for (const Group& group : groups_of(batch_, most_)) {
      feed(group, first, cancelled);
      first += group.size();
    }
  } catch (...) {
    undo();
    throw;
  }
  batch_.position += static_cast<std::int64_t>(n_rows_);
}

void Forward::restore(Sequence& sequence, const StateSnapshot& backup) {
  if (!sequence.state)
    sequence.parked = backup;
  else if (backup.position > 0)
    sequence.state->restore(backup);
  else
    sequence.state->reset();
}

void Forward::undo() {
  for (std::size_t i = 0; i < batch_.items.size(); ++i) {
    if (n_steps_[i] == 0) continue;
    Sequence& sequence = *batch_.items[i];
    if (!backups_.empty()) {
      restore(sequence, backups_[i]);
    } else if (start_ == 0) {
      restore(sequence, {});
    } else if (sequence.state && sequence.state->rewindable_steps() >= n_steps_[i]) {
      sequence.state->rewind(n_steps_[i]);
    }
  }
  const Sequence& first = *batch_.items.front();
  batch_.position = first.state ? first.state->position() : first.parked.position;
}

void check_no_stream(const Batch& batch) {
  for (const auto& item : batch.items)
    if (item->before_parking)
      throw Error(ErrorKind::invalid_argument,
                  "cache: expected caches that no stream generates for, got those of a stream that "
                  "has not ended; close the stream first");
}

Sequences::Sequences(std::shared_ptr<LoadedModel> model, std::size_t n)
    : model_(std::move(model)), batch_(std::make_shared<Batch>(*model_, n)) {}

Sequences::~Sequences() {
  if (!batch_ || !model_) return;  // moved from
  if (model_->is_in_child()) {
    // No thread is left that could free the states.
    new std::shared_ptr<Batch>(std::move(batch_));
    return;
  }
  // States are freed between the steps of other calls. The job does not hold the model, because the
  // model must not end in its own thread.
  model_->post([batch = std::move(batch_)](const std::atomic<bool>&) {});
}

std::vector<float> Sequences::forward(std::vector<std::int32_t> ids, std::size_t n_rows,
                                      bool all_logits) {
  const auto work = std::make_shared<Forward>(*model_, *batch_, std::move(ids), n_rows, all_logits);
  model_->run([work, keep = batch_](const std::atomic<bool>& cancelled) { work->run(cancelled); },
              [work, keep = batch_] { work->undo(); }, &left_);
  latest_ = work;
  return std::move(work->logits);
}

std::int64_t Sequences::position() {
  if (left_) {
    try {
      wait_for(*left_);
    } catch (const nanobind::python_error&) {
      throw;
    } catch (const std::exception&) {  // the interrupted call has failed
    }
    left_.reset();
  }
  return batch_->position;
}

void Sequences::take_back(std::optional<std::int64_t> start) {
  if (!latest_ || (start && *start != latest_->start()) || model_->is_in_child()) return;
  batch_->position = latest_->start();  // for a caller who asks at once
  model_->post(
      [work = std::move(latest_), batch = batch_](const std::atomic<bool>&) { work->undo(); });
}

Sequences Sequences::fork() {
  Sequences result(model_, batch_->items.size());
  const std::shared_ptr<Batch>& copy = result.batch();
  model_->run([model = model_.get(), from = batch_, copy](const std::atomic<bool>&) {
    model->take_turn(nullptr);
    check_no_stream(*from);
    for (std::size_t i = 0; i < from->items.size(); ++i) {
      const Sequence& source = *from->items[i];
      if (source.state && model->has_free_slot())
        model->adopt(*copy->items[i], source.state->fork());
      else
        copy->items[i]->parked = source.state ? source.state->snapshot() : source.parked;
    }
    copy->position = from->position.load();
  });
  return result;
}

void Sequences::reset() {
  model_->run([batch = batch_](const std::atomic<bool>&) {
    check_no_stream(*batch);
    for (const auto& item : batch->items) {
      if (item->state) item->state->reset();
      item->parked = {};
    }
    batch->position = 0;
  });
}

std::vector<StateSnapshot> Sequences::snapshots() {
  const auto out = std::make_shared<std::vector<StateSnapshot>>();
  model_->run([model = model_.get(), batch = batch_, out](const std::atomic<bool>&) {
    model->take_turn(nullptr);
    check_no_stream(*batch);
    for (const auto& item : batch->items)
      out->push_back(item->state ? item->state->snapshot() : item->parked);
  });
  return std::move(*out);
}

std::vector<std::int32_t> Sequences::seen(std::size_t index) {
  const StateSnapshot snapshot = std::move(snapshots().at(index));
  std::vector<std::int32_t> ids;
  if (snapshot.tensors.empty()) return ids;
  // The last two tensors are the bits of the tokens and the sampled token.
  const std::vector<std::byte>& bits = snapshot.tensors.at(snapshot.tensors.size() - 2);
  for (std::size_t i = 0; i < bits.size() * 8; ++i)
    if ((std::to_integer<unsigned>(bits[i / 8]) >> (i % 8) & 1U) != 0)
      ids.push_back(static_cast<std::int32_t>(i));
  return ids;
}

void Sequences::with_state(std::size_t index, std::function<void(State&)> work) {
  model_->run([model = model_.get(), batch = batch_, index,
               work = std::move(work)](const std::atomic<bool>&) {
    model->take_turn(nullptr);
    check_no_stream(*batch);
    Sequence* one = batch->items.at(index).get();
    State& state = model->state_of(*one, {&one, 1});
    work(state);
    batch->position = state.position();
  });
}

void Sequences::save(std::size_t index, const std::filesystem::path& path) {
  with_state(index, [path](State& state) { state.save(path); });
}

void Sequences::load(std::size_t index, const std::filesystem::path& path) {
  with_state(index, [path](State& state) { state.load(path); });
}

std::vector<std::byte> Sequences::to_bytes(std::size_t index) {
  const auto bytes = std::make_shared<std::vector<std::byte>>();
  with_state(index, [bytes](State& state) { *bytes = state.to_bytes(); });
  return std::move(*bytes);
}

void Sequences::from_bytes(std::size_t index, std::vector<std::byte> bytes) {
  with_state(index, [bytes = std::move(bytes)](State& state) { state.from_bytes(bytes); });
}

}  // namespace bitaxon::python
