// A model that handles share, and the rule that one thread at a time uses it.
#pragma once

#include <condition_variable>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "bitaxon/session.h"
#include "c_abi/handles.h"
#include "platform/job_queue.h"

namespace bitaxon::c {

/// A tokenizer, and the folder where its chat template is; empty if there is no folder. Immutable.
struct TextTools {
  Vocabulary vocabulary;
  std::filesystem::path folder;
};

/// A model and its tokenizer. Handles of the model, of its states and of its requests share it.
class LoadedModel {
 public:
  /// `n_states` is the number of states that callers may have. The model has a slot more, for the
  /// copy of a state that a call works on until it has succeeded.
  LoadedModel(Session opened, std::size_t n_states);

  /// While such an object lives, its thread alone uses the model.
  class Use {
   public:
    enum class When { now, later };
    /// If another thread uses the model, throws Failure(BUSY), or waits.
    explicit Use(LoadedModel& model, When when = When::now);
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;
    ~Use();

   private:
    LoadedModel& model_;
  };
  /// Whether this thread uses the model. Then a callback is calling.
  bool used_by_this_thread() const;

  std::size_t n_states() const { return n_states_; }
  /// Throws Failure if callers have all states. The calling thread uses the model.
  void check_free_state() const;
  /// Counts a state of a caller.
  void took_state() noexcept { ++n_taken_; }
  /// Frees a state of a caller: at once, or when the thread that uses the model is done.
  void retire(State state) noexcept;

  /// Runs work in the thread of this model.
  std::shared_ptr<Job> post(Job::Work work);

  Session session;
  std::shared_ptr<const TextTools> text;  ///< null without a tokenizer
  std::string info;                       ///< the JSON of bitaxon_model_info()

 private:
  void bury() noexcept;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool in_use_ = false;
  std::thread::id user_;
  const std::size_t n_states_;
  std::size_t n_taken_ = 0;  ///< changed by the thread that uses the model, or under the mutex
  std::vector<State> retired_;
  std::optional<JobQueue> queue_;  // last, so that its thread ends first
};

/// A state of a caller. Handles and requests share it.
struct SharedState {
  SharedState(std::shared_ptr<LoadedModel> of, State taken)
      : model(std::move(of)), state(std::move(taken)) {
    model->took_state();
  }
  SharedState(const SharedState&) = delete;
  SharedState& operator=(const SharedState&) = delete;
  ~SharedState() { model->retire(std::move(state)); }

  std::shared_ptr<LoadedModel> model;
  State state;
  std::atomic<int> n_requests = 0;  ///< requests that are queued or running
};

/// While such an object lives, its thread alone uses a state and its model.
class StateUse {
 public:
  /// Throws Failure(BUSY) if a request or another thread uses the state or the model.
  explicit StateUse(bitaxon_state* handle);

  State& state() { return shared_->state; }
  Session& session() { return shared_->model->session; }
  const std::shared_ptr<SharedState>& shared() const { return shared_; }

 private:
  std::shared_ptr<SharedState> shared_;  // a callback may free the handle
  LoadedModel::Use use_;
};

}  // namespace bitaxon::c

struct bitaxon_model {
  std::shared_ptr<bitaxon::c::LoadedModel> loaded;
};

struct bitaxon_tokenizer {
  std::shared_ptr<const bitaxon::c::TextTools> text;
};

struct bitaxon_state {
  std::shared_ptr<bitaxon::c::SharedState> shared;
};
