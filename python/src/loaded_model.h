// A model that Python holds: its weights, and the thread that computes for it.
#pragma once

#include <nanobind/nanobind.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "bitaxon/generate.h"
#include "bitaxon/model.h"
#include "bitaxon/session.h"
#include "platform/job_queue.h"
#include "waiting.h"

namespace bitaxon::python {

class Sequence;
class Stream;
struct TokenizerHandle;

/// All work on a model runs as jobs of its queue, one after the other. So every call may come from
/// any thread of Python, and a call after an interrupted one waits until that one has ended.
class LoadedModel {
 public:
  using Work = Job::Work;

  /// `n_slots` is the number of states that the model was loaded for.
  LoadedModel(Session session, std::string config, int n_slots);
  LoadedModel(const LoadedModel&) = delete;
  LoadedModel& operator=(const LoadedModel&) = delete;
  ~LoadedModel();

  /// Runs work and waits for it. If a signal interrupts the wait, then `undo` runs after the work,
  /// unless the work has failed, and `left` gets the job, which then ends in the background. What work
  /// and undo use must outlive this call.
  void run(Work work, std::function<void()> undo = {}, std::shared_ptr<Job>* left = nullptr);
  /// Queues work that nobody waits for.
  void post(Work work) { queue_->post(std::move(work)); }
  /// Cancels the work that is running, and waits until all work is done.
  void drain();

  const Session& session() const { return session_; }
  const ModelSpec& spec() const { return session_.model.spec(); }
  /// The text that describes the model, a config.json.
  const std::string& config() const { return config_; }

  /// Whether this process is a child, made by fork, of the process that has loaded the model. It has
  /// no thread that computes.
  bool is_in_child() const { return ::getpid() != process_; }
  void check_process() const;

  // For jobs only.
  Model& model() { return session_.model; }
  /// The tokenizer with the ids of the model.
  Vocabulary vocabulary(const TokenizerHandle& tokenizer);
  /// Gives a sequence its state. Takes the slots of sequences that were not used for the longest
  /// time, whose states go to host memory. Sequences in `kept` keep their slots.
  State& state_of(Sequence& sequence, std::span<Sequence* const> kept);
  /// Moves the states of all sequences to host memory, so that a job can use states of its own.
  void park_all();
  bool has_free_slot() const { return std::ssize(with_slot_) < n_slots_; }
  /// Gives a sequence a state that was made elsewhere, in a slot that was free.
  void adopt(Sequence& sequence, State state);
  /// Ends the turn of the stream whose steps are in flight, and begins that of `next`.
  void take_turn(Stream* next);
  void forget(Sequence& sequence);
  void forget(const Stream* stream) {
    if (turn_ == stream) turn_ = nullptr;
  }
  int n_slots() const { return n_slots_; }

 private:
  void park(Sequence& sequence);

  Session session_;
  std::string config_;
  int n_slots_ = 1;
  pid_t process_ = ::getpid();
  std::vector<std::pair<std::uint64_t, Vocabulary>> vocabularies_;  ///< by TokenizerHandle::id
  std::list<Sequence*> with_slot_;  ///< the one that was used last comes first
  Stream* turn_ = nullptr;
  std::unique_ptr<JobQueue>
      queue_;  ///< behind all that its jobs use, so that its thread ends first
  Drained drained_{[this] { drain(); }};
};

}  // namespace bitaxon::python
