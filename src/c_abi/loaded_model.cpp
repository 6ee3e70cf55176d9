#include "c_abi/loaded_model.h"

namespace bitaxon::c {

LoadedModel::LoadedModel(Session opened, std::size_t n_states)
    : session(std::move(opened)), n_states_(n_states) {
  retired_.reserve(n_states);  // so that retire() does not fail
  if (session.vocabulary)
    text = std::make_shared<const TextTools>(TextTools{*session.vocabulary, session.folder});
}

LoadedModel::Use::Use(LoadedModel& model, When when) : model_(model) {
  std::unique_lock lock(model.mutex_);
  if (when == When::now && model.in_use_)
    throw Failure(BITAXON_STATUS_BUSY, model.user_ == std::this_thread::get_id()
                                           ? "the model is in use by the call of this callback"
                                           : "the model is in use by another thread or a request");
  model.changed_.wait(lock, [&] { return !model.in_use_; });
  model.in_use_ = true;
  model.user_ = std::this_thread::get_id();
}

LoadedModel::Use::~Use() {
  const std::lock_guard lock(model_.mutex_);
  model_.bury();
  model_.in_use_ = false;
  model_.user_ = {};
  model_.changed_.notify_one();
}

bool LoadedModel::used_by_this_thread() const {
  const std::lock_guard lock(mutex_);
  return in_use_ && user_ == std::this_thread::get_id();
}

void LoadedModel::check_free_state() const {
  if (n_taken_ >= n_states_)
    refuse(fmt::format("state: expected one of the model's {} slots and forks to be free, got none",
                       n_states_));
}

/// Destroys retired states. Their destructors use the memory of the model.
void LoadedModel::bury() noexcept {
  n_taken_ -= retired_.size();
  retired_.clear();
}

void LoadedModel::retire(State state) noexcept {
  const std::lock_guard lock(mutex_);
  retired_.push_back(std::move(state));
  if (!in_use_) bury();
}

std::shared_ptr<Job> LoadedModel::post(Job::Work work) {
  const std::lock_guard lock(mutex_);
  if (!queue_) queue_.emplace();
  return queue_->post(std::move(work));
}

StateUse::StateUse(bitaxon_state* handle)
    : shared_(not_null(handle, "state").shared), use_(*shared_->model) {
  if (shared_->n_requests > 0)
    throw Failure(BITAXON_STATUS_BUSY, "the state is in use by a request that is not done");
}

}  // namespace bitaxon::c
