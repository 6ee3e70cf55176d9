#include <condition_variable>
#include <deque>

#include "bitaxon/c/bitaxon.h"
#include "c_abi/generation.h"

using namespace bitaxon;
using namespace bitaxon::c;

namespace {

using std::chrono::milliseconds;

/// A request that a handle and the thread of the model share.
class Request {
 public:
  Request(std::shared_ptr<SharedState> state, Wish wish)
      : state_(std::move(state)), wish_(std::move(wish)) {}

  /// The work of the model's thread.
  void run(const std::atomic<bool>& cancelled) noexcept;

  std::int32_t where() const;
  bool wait(std::int64_t timeout_ms) const;
  /// The next piece of text. Throws Failure(END, TIMEOUT), or what the request has thrown.
  std::string next(std::int64_t timeout_ms);
  /// Throws Failure(BUSY), or what the request has thrown.
  const GenerateResult& result() const;
  LoadedModel& model() const { return *state_->model; }

 private:
  template <class Ready>
  bool wait_until(std::unique_lock<std::mutex>& lock, std::int64_t timeout_ms,
                  const Ready& ready) const;
  void keep(std::string_view piece);

  std::shared_ptr<SharedState> state_;
  const Wish wish_;
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::int32_t where_ = BITAXON_REQUEST_QUEUED;
  std::deque<std::string> pieces_;
  GenerateResult result_;
  std::exception_ptr failure_;
};

void Request::keep(std::string_view piece) {
  const std::lock_guard lock(mutex_);
  pieces_.emplace_back(piece);
  changed_.notify_all();
}

void Request::run(const std::atomic<bool>& cancelled) noexcept {
  GenerateResult result;
  std::exception_ptr failure;
  try {
    const LoadedModel::Use use(model(), LoadedModel::Use::When::later);
    {
      const std::lock_guard lock(mutex_);
      where_ = BITAXON_REQUEST_RUNNING;
    }
    Generated generated = bitaxon::c::run(
        wish_, model().session, state_->state, [this](std::string_view piece) { keep(piece); },
        &cancelled);
    generated.commit(state_->state);
    result = std::move(generated.result);
  } catch (...) {
    failure = std::current_exception();
  }
  --state_->n_requests;
  const std::lock_guard lock(mutex_);
  result_ = std::move(result);
  failure_ = failure;
  where_ = BITAXON_REQUEST_DONE;
  changed_.notify_all();
}

std::int32_t Request::where() const {
  const std::lock_guard lock(mutex_);
  return where_;
}

template <class Ready>
bool Request::wait_until(std::unique_lock<std::mutex>& lock, std::int64_t timeout_ms,
                         const Ready& ready) const {
  if (ready()) return true;
  if (model().used_by_this_thread())
    throw Failure(BITAXON_STATUS_BUSY, "a callback cannot wait for a request of the same model");
  // A time point beyond the range of the clock would overflow.
  constexpr std::int64_t kMostMs = std::int64_t{1000} * 60 * 60 * 24 * 365;
  if (timeout_ms < 0 || timeout_ms > kMostMs) {
    changed_.wait(lock, ready);
    return true;
  }
  return changed_.wait_for(lock, milliseconds(timeout_ms), ready);
}

bool Request::wait(std::int64_t timeout_ms) const {
  std::unique_lock lock(mutex_);
  return wait_until(lock, timeout_ms, [this] { return where_ == BITAXON_REQUEST_DONE; });
}

std::string Request::next(std::int64_t timeout_ms) {
  std::unique_lock lock(mutex_);
  const auto ready = [this] { return !pieces_.empty() || where_ == BITAXON_REQUEST_DONE; };
  if (!wait_until(lock, timeout_ms, ready))
    throw Failure(BITAXON_STATUS_TIMEOUT, "the request has no further text yet");
  if (pieces_.empty()) {
    if (failure_) std::rethrow_exception(failure_);
    throw Failure(BITAXON_STATUS_END, "the request has no further text");
  }
  std::string piece = std::move(pieces_.front());
  pieces_.pop_front();
  return piece;
}

const GenerateResult& Request::result() const {
  const std::lock_guard lock(mutex_);
  if (where_ != BITAXON_REQUEST_DONE) throw Failure(BITAXON_STATUS_BUSY, "the request is not done");
  if (failure_) std::rethrow_exception(failure_);
  return result_;  // no longer changes
}

}  // namespace

struct bitaxon_request {
  std::shared_ptr<Request> request;
  std::shared_ptr<Job> job;
};

bitaxon_status bitaxon_request_submit(bitaxon_state* state, const int32_t* prompt,
                                      uint64_t n_prompt, const bitaxon_generate_options* options,
                                      bitaxon_request** request) {
  return guard([&] {
    const std::shared_ptr<SharedState> shared = not_null(state, "state").shared;
    not_null(request, "request");
    const auto made =
        std::make_shared<Request>(shared, Wish(shared->model->session, prompt, n_prompt, options));
    auto handle = std::make_unique<bitaxon_request>(bitaxon_request{made, nullptr});
    ++shared->n_requests;
    try {
      handle->job =
          shared->model->post([made](const std::atomic<bool>& cancelled) { made->run(cancelled); });
    } catch (...) {
      --shared->n_requests;
      throw;
    }
    *request = handle.release();
  });
}

bitaxon_status bitaxon_request_poll(bitaxon_request* request, int32_t* where) {
  return guard([&] {
    const Request& own = *not_null(request, "request").request;
    not_null(where, "where") = own.where();
  });
}

bitaxon_status bitaxon_request_wait(bitaxon_request* request, int64_t timeout_ms) {
  return guard([&] {
    if (!not_null(request, "request").request->wait(timeout_ms))
      throw Failure(BITAXON_STATUS_TIMEOUT, "the request is not done");
  });
}

bitaxon_status bitaxon_request_next(bitaxon_request* request, int64_t timeout_ms,
                                    bitaxon_buffer* text) {
  return guard([&] {
    Request& own = *not_null(request, "request").request;
    not_null(text, "text");
    text->bytes = own.next(timeout_ms);
  });
}

void bitaxon_request_cancel(bitaxon_request* request) {
  if (request != nullptr) request->job->cancel();
}

bitaxon_status bitaxon_request_result(bitaxon_request* request, bitaxon_buffer* text,
                                      bitaxon_buffer* ids, bitaxon_generate_result* result) {
  return guard([&] {
    const Request& own = *not_null(request, "request").request;
    const Answer answer(text, ids, result);
    answer.give(own.result());
  });
}

void bitaxon_request_free(bitaxon_request* request) {
  if (request == nullptr) return;
  const std::unique_ptr<bitaxon_request> owned(request);
  owned->job->cancel();
  if (!owned->request->model().used_by_this_thread()) return owned->job->wait();
  // A callback frees the request, although it must not. Another thread waits for its end, because
  // the thread of the model cannot free the model.
  std::thread([kept = *owned] { kept.job->wait(); }).detach();
}
