// Tests of requests, of cancelling them, and of several threads. They also run in the build with
// ThreadSanitizer.
#include <signal.h>

#include <atomic>
#include <thread>

#include "c_tests/handles.h"

namespace bitaxon::test {
namespace {

bitaxon_generate_options wanted(std::int64_t max_tokens) {
  auto options = initialized(bitaxon_generate_options_init);
  options.max_tokens = max_tokens;
  options.ignore_eos = 1;
  return options;
}

const std::vector<std::int32_t> kPrompt = {72, 101, 108, 108, 111};

RequestHandle submit(const StateHandle& state, const bitaxon_generate_options& options) {
  RequestHandle request;
  expect_ok(bitaxon_request_submit(state.p, kPrompt.data(), kPrompt.size(), &options, &request.p));
  return request;
}

bitaxon_generate_result result_of(const RequestHandle& request) {
  auto result = initialized(bitaxon_generate_result_init);
  expect_ok(bitaxon_request_wait(request.p, -1));
  expect_ok(bitaxon_request_result(request.p, nullptr, nullptr, &result));
  return result;
}

std::string generated_text(const StateHandle& state, std::int64_t max_tokens) {
  const auto options = wanted(max_tokens);
  BufferHandle text;
  expect_ok(bitaxon_generate(state.p, kPrompt.data(), kPrompt.size(), &options, text.p, nullptr,
                             nullptr));
  return text.text();
}

std::int32_t where_of(const RequestHandle& request) {
  std::int32_t where = -1;
  expect_ok(bitaxon_request_poll(request.p, &where));
  return where;
}

TEST(CRequest, GivesTheSameTextAsACallThatWaits) {
  auto options = model_options();
  options.slots = 2;
  const ModelHandle model = open_small(options);
  const StateHandle state = new_state(model), other = new_state(model);
  const std::string expected = generated_text(other, 30);
  const RequestHandle request = submit(state, wanted(30));
  std::string joined;
  BufferHandle piece;
  bitaxon_status status;
  while ((status = bitaxon_request_next(request.p, -1, piece.p)) == BITAXON_STATUS_OK)
    joined += piece.text();
  EXPECT_EQ(status, BITAXON_STATUS_END);
  EXPECT_EQ(joined, expected);
  EXPECT_EQ(where_of(request), BITAXON_REQUEST_DONE);
  BufferHandle text, ids;
  auto result = initialized(bitaxon_generate_result_init);
  expect_ok(bitaxon_request_result(request.p, text.p, ids.p, &result));
  EXPECT_EQ(text.text(), expected);
  EXPECT_EQ(ids.ids().size(), 30u);
  EXPECT_EQ(result.generated_tokens, 30);
  EXPECT_EQ(snapshot_of(state), snapshot_of(other));
}

/// A callback that holds a request until it is let go.
struct Held {
  std::atomic<bool> reached = false, let_go = false;
  std::atomic<int> n_tokens = 0;

  bitaxon_generate_options options(std::int64_t max_tokens) {
    auto made = wanted(max_tokens);
    made.user = this;
    made.on_token = [](void* user, std::int32_t) {
      Held& held = *static_cast<Held*>(user);
      ++held.n_tokens;
      held.reached = true;
      held.reached.notify_all();
      held.let_go.wait(false);
      return 0;
    };
    return made;
  }
  void wait() const { reached.wait(false); }
  void go() {
    let_go = true;
    let_go.notify_all();
  }
};

TEST(CRequest, UsesItsModelAloneUntilItIsDone) {
  auto options = model_options();
  options.slots = 2;
  const ModelHandle model = open_small(options);
  StateHandle state = new_state(model), other = new_state(model);
  Held held;
  const RequestHandle first = submit(state, held.options(2));
  const RequestHandle second = submit(other, wanted(3));
  held.wait();
  EXPECT_EQ(where_of(first), BITAXON_REQUEST_RUNNING);
  EXPECT_EQ(where_of(second), BITAXON_REQUEST_QUEUED);
  StateHandle more;
  std::int64_t position = 77;
  expect_failure(bitaxon_state_new(model.p, &more.p), BITAXON_STATUS_BUSY);
  expect_failure(bitaxon_state_position(state.p, &position), BITAXON_STATUS_BUSY);
  expect_failure(bitaxon_state_position(other.p, &position), BITAXON_STATUS_BUSY);
  expect_failure(bitaxon_request_wait(second.p, 1), BITAXON_STATUS_TIMEOUT);
  BufferHandle text;
  expect_failure(bitaxon_request_next(second.p, 0, text.p), BITAXON_STATUS_TIMEOUT);
  expect_failure(bitaxon_request_result(second.p, text.p, nullptr, nullptr), BITAXON_STATUS_BUSY);
  EXPECT_EQ(position, 77);
  // What needs no device works at any time.
  expect_ok(bitaxon_model_info(model.p, text.p));
  EXPECT_GT(bitaxon_model_context(model.p), 0);
  other.free();  // the slot becomes free when both requests are done
  held.go();
  EXPECT_EQ(result_of(first).generated_tokens, 2);
  EXPECT_EQ(result_of(second).generated_tokens, 3);
  expect_ok(bitaxon_state_position(state.p, &position));
  EXPECT_EQ(position, 7);
}

TEST(CRequest, AnotherThreadCancelsIt) {
  const ModelHandle model = open_small();
  const StateHandle state = new_state(model);
  Held held;
  const RequestHandle request = submit(state, held.options(100000));
  held.wait();
  std::thread([&] { bitaxon_request_cancel(request.p); }).join();
  held.go();
  const auto result = result_of(request);
  EXPECT_EQ(result.finish_reason, BITAXON_FINISH_INTERRUPTED);
  EXPECT_EQ(result.generated_tokens, 1);
  EXPECT_EQ(position_of(state), 6) << "the state includes prompt and answer";
}

TEST(CRequest, ACancelledRequestThatHasNotBegunDoesNothing) {
  auto options = model_options();
  options.slots = 2;
  const ModelHandle model = open_small(options);
  const StateHandle state = new_state(model), other = new_state(model);
  Held held;
  const RequestHandle first = submit(state, held.options(1));
  const RequestHandle second = submit(other, wanted(100));
  CancelHandle cancel;
  expect_ok(bitaxon_cancel_new(&cancel.p));
  auto with_token = wanted(100);
  with_token.cancel = cancel.p;
  const RequestHandle third = submit(other, with_token);
  held.wait();
  bitaxon_request_cancel(second.p);
  bitaxon_cancel_set(cancel.p);
  cancel.free();
  held.go();
  for (const RequestHandle* request : {&second, &third}) {
    const auto result = result_of(*request);
    EXPECT_EQ(result.finish_reason, BITAXON_FINISH_INTERRUPTED);
    EXPECT_EQ(result.generated_tokens, 0);
  }
  EXPECT_EQ(position_of(other), 0);
}

bitaxon_request* request_of_signals = nullptr;

TEST(CRequest, ASignalHandlerCancelsIt) {
  const ModelHandle model = open_small();
  const StateHandle state = new_state(model);
  struct sigaction action {};
  struct sigaction before {};
  action.sa_handler = [](int) { bitaxon_request_cancel(request_of_signals); };
  ASSERT_EQ(sigaction(SIGUSR1, &action, &before), 0);
  Held held;
  const RequestHandle request = submit(state, held.options(100000));
  request_of_signals = request.p;
  held.wait();
  raise(SIGUSR1);
  held.go();
  EXPECT_EQ(result_of(request).finish_reason, BITAXON_FINISH_INTERRUPTED);
  sigaction(SIGUSR1, &before, nullptr);
}

TEST(CRequest, HandlesAreFreedInAnyOrder) {
  for (int order = 0; order < 6; ++order) {
    SCOPED_TRACE(order);
    ModelHandle model = open_small();
    TokenizerHandle tokenizer;
    expect_ok(bitaxon_model_tokenizer(model.p, &tokenizer.p));
    StateHandle state = new_state(model);
    RequestHandle request = submit(state, wanted(order < 3 ? 100000 : 2));
    if (order % 3 == 0) model.free();
    if (order % 3 != 2) state.free();
    if (order % 3 == 1) request.free();
    model.free();
    state.free();
    if (order >= 3 && request.p != nullptr) {
      EXPECT_EQ(result_of(request).generated_tokens, 2);
    }
    request.free();  // ends a request that still runs
    BufferHandle ids;
    expect_ok(bitaxon_tokenize(tokenizer.p, "a", 1, 0, ids.p));
    EXPECT_EQ(ids.ids(), std::vector<std::int32_t>{97});
  }
}

TEST(CRequest, ACallbackThatFreesItsRequestIsSurvived) {
  ModelHandle model = open_small();
  StateHandle state = new_state(model);
  struct Own {
    std::atomic<bitaxon_request*> request = nullptr;
    std::atomic<bool> waited = false;
    std::atomic<bool> freed = false;
  };
  // The request outlives this function.
  static Own own;
  auto options = wanted(100000);
  options.user = &own;
  options.on_token = [](void* user, std::int32_t) {
    Own& seen = *static_cast<Own*>(user);
    seen.request.wait(nullptr);
    bitaxon_request* request = seen.request;
    if (seen.freed) return 0;
    seen.waited = bitaxon_request_wait(request, -1) == BITAXON_STATUS_BUSY;
    bitaxon_request_free(request);
    seen.freed = true;
    seen.freed.notify_all();
    return 0;
  };
  RequestHandle request = submit(state, options);
  own.request = request.p;
  request.p = nullptr;
  own.request.notify_all();
  own.freed.wait(false);
  EXPECT_TRUE(own.waited);
  // The request has ended when its model is free.
  std::int64_t position = 0;
  while (bitaxon_state_position(state.p, &position) == BITAXON_STATUS_BUSY)
    std::this_thread::yield();
  EXPECT_EQ(position, 6);
}

TEST(CThreads, TwoModelsAreOpenedAndWorkAtTheSameTime) {
  std::string texts[2];
  const auto work = [](std::string& text) {
    const ModelHandle model = open_small();
    for (int i = 0; i < 3; ++i) {
      const StateHandle state = new_state(model);
      text = generated_text(state, 10);
      expect_failure(bitaxon_state_rewind(state.p, 100), BITAXON_STATUS_INVALID_ARGUMENT, "rewind");
    }
  };
  std::thread other([&] { work(texts[1]); });
  work(texts[0]);
  other.join();
  EXPECT_EQ(texts[0], texts[1]);
  EXPECT_FALSE(texts[0].empty());
}

TEST(CThreads, ASecondThreadInAModelIsRefused) {
  auto options = model_options();
  options.slots = 8;
  const ModelHandle model = open_small(options);
  std::atomic<int> n_done = 0;
  const auto work = [&] {
    int n_busy = 0;
    for (int i = 0; i < 20; ++i) {
      bitaxon_state* state = nullptr;
      bitaxon_status status = bitaxon_state_new(model.p, &state);
      while (status == BITAXON_STATUS_BUSY && n_busy++ < 1000000) {
        std::this_thread::yield();
        status = bitaxon_state_new(model.p, &state);
      }
      if (status != BITAXON_STATUS_OK) continue;
      const bitaxon_generate_options brief = wanted(2);
      do {
        status = bitaxon_generate(state, kPrompt.data(), kPrompt.size(), &brief, nullptr, nullptr,
                                  nullptr);
      } while (status == BITAXON_STATUS_BUSY);
      bitaxon_state_free(state);  // while other threads use the model
      if (status == BITAXON_STATUS_OK) ++n_done;
    }
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) threads.emplace_back(work);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(n_done, 80);
}

TEST(CThreads, ManyThreadsUseOneTokenizerAndOneQueue) {
  auto options = model_options();
  options.slots = 4;
  const ModelHandle model = open_small(options);
  TokenizerHandle tokenizer;
  expect_ok(bitaxon_model_tokenizer(model.p, &tokenizer.p));
  std::vector<StateHandle> states;
  for (int i = 0; i < 4; ++i) states.push_back(new_state(model));
  std::vector<std::thread> threads;
  for (const StateHandle& state : states)
    threads.emplace_back([&] {
      BufferHandle ids;
      for (int i = 0; i < 50; ++i) {
        expect_ok(bitaxon_tokenize(tokenizer.p, "Hello", 5, 0, ids.p));
        EXPECT_EQ(ids.ids(), kPrompt);
      }
      EXPECT_EQ(result_of(submit(state, wanted(4))).generated_tokens, 4);
    });
  for (std::thread& thread : threads) thread.join();
  for (const StateHandle& state : states) EXPECT_EQ(position_of(state), 9);
}

}  // namespace
}  // namespace bitaxon::test
