#include "stream.h"

#include <utility>

#include "bitaxon/error.h"

namespace bitaxon::python {

/// What jobs of a stream work on. It outlives the stream if a job is under way.
struct Stream::Work {
  LoadedModel* model = nullptr;
  Stream* stream = nullptr;  ///< names the stream in LoadedModel::take_turn()
  std::shared_ptr<Batch> batch;
  std::optional<TokenizerHandle> tokenizer;
  GenerateOptions options;
  std::optional<Vocabulary> vocabulary;
  std::optional<Generation> generation;  ///< while the answer goes on
  std::optional<GenerateResult> result;
  std::string text;         ///< that Python has not taken
  std::size_t n_taken = 0;  ///< ids that Python has taken

  StreamPart offered;          ///< the latest part
  std::int64_t n_offered = 0;  ///< parts so far

  /// Makes a part of what is new.
  void offer() {
    const std::vector<std::int32_t>& ids =
        generation ? generation->so_far().token_ids : result->token_ids;
    offered.ids.assign(ids.begin() + static_cast<std::ptrdiff_t>(n_taken), ids.end());
    n_taken = ids.size();
    offered.text = std::exchange(text, {});
    offered.is_last = !generation.has_value();
    ++n_offered;
  }

  State& state() const {
    Sequence* one = batch->items.front().get();
    return model->state_of(*one, {&one, 1});
  }
  /// The state holds what was generated, and other calls may use it.
  void end() {
    generation.reset();
    batch->items.front()->before_parking = nullptr;
    batch->position = state().position();
    model->forget(stream);
  }
  void finish() {
    state();
    result = generation->finish();
    end();
  }
  void close();
  void advance() {
    model->take_turn(stream);
    state();
    try {
      if (!generation->advance()) finish();
    } catch (...) {
      end();
      throw;
    }
  }
};

Stream::Stream(std::shared_ptr<LoadedModel> model, std::shared_ptr<Batch> batch,
               std::optional<TokenizerHandle> tokenizer, GenerateOptions options)
    : model_(std::move(model)), work_(std::make_shared<Work>()) {
  work_->model = model_.get();
  work_->stream = this;
  work_->batch = std::move(batch);
  work_->tokenizer = std::move(tokenizer);
  work_->options = std::move(options);
}

Stream::~Stream() {
  if (model_->is_in_child()) {
    new std::shared_ptr<Work>(std::move(work_));
    return;
  }
  model_->post([work = std::move(work_)](const std::atomic<bool>&) {
    if (work->generation) work->finish();
    work->model->forget(work->stream);
  });
}

void Stream::begin(std::vector<std::int32_t> prompt) {
  const auto backup = std::make_shared<std::optional<StateSnapshot>>();
  model_->run(
      [work = work_, prompt = std::move(prompt), backup](const std::atomic<bool>& cancelled) {
        check_no_stream(*work->batch);
        work->model->take_turn(work->stream);
        if (work->tokenizer) work->vocabulary = work->model->vocabulary(*work->tokenizer);
        State& state = work->state();
        if (state.position() > 0) *backup = state.snapshot();
        GenerateOptions options = work->options;
        options.on_text = [work = work.get()](std::string_view text) { work->text += text; };
        work->generation.emplace(work->model->model(), state,
                                 work->vocabulary ? &*work->vocabulary : nullptr, options);
        work->generation->watch(&cancelled);
        work->batch->items.front()->before_parking = [work = work.get()] {
          work->generation->pause();
        };
        try {
          if (!work->generation->begin(prompt)) {
            work->finish();
          } else {
            work->generation->watch(nullptr);
          }
        } catch (...) {
          work->end();
          throw;
        }
      },
      [work = work_, backup] {
        work->generation.reset();
        work->result.reset();
        work->batch->items.front()->before_parking = nullptr;
        work->model->forget(work->stream);
        State& state = work->state();
        if (*backup) {
          state.restore(**backup);
        } else {
          state.reset();
        }
        work->batch->position = state.position();
      });
}

StreamPart Stream::next(bool single, std::int64_t n_taken) {
  const auto part = std::make_shared<StreamPart>();
  model_->run([work = work_, part, single, n_taken](const std::atomic<bool>& cancelled) {
    if (n_taken == work->n_offered) {
      while (work->generation && !cancelled) {
        work->advance();
        if (single || !work->text.empty()) break;
      }
      work->offer();
    }
    *part = work->offered;
  });
  return std::move(*part);
}

void Stream::run() {
  model_->run([work = work_](const std::atomic<bool>& cancelled) {
    if (work->generation) work->generation->watch(&cancelled);
    while (work->generation) work->advance();
  });
}

void Stream::Work::close() {
  if (!generation) return;
  model->take_turn(stream);
  finish();
}

void Stream::close() {
  model_->run([work = work_](const std::atomic<bool>&) { work->close(); });
}

void Stream::abandon() {
  if (!model_->is_in_child())
    model_->post([work = work_](const std::atomic<bool>&) { work->close(); });
}

const std::optional<GenerateResult>& Stream::result() const { return work_->result; }

void Stream::hold() {
  if (work_->generation) work_->generation->hold();
}

}  // namespace bitaxon::python
