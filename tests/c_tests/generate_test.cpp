// Tests of generation in the thread of the caller.
#include <signal.h>

#include "bitaxon/session.h"
#include "c_tests/handles.h"

namespace bitaxon::test {
namespace {

struct Generated {
  std::string text;
  std::vector<std::int32_t> ids;
  bitaxon_generate_result result;
};

Generated generate(const StateHandle& state, const std::vector<std::int32_t>& prompt,
                   const bitaxon_generate_options& options) {
  BufferHandle text, ids;
  Generated found{{}, {}, initialized(bitaxon_generate_result_init)};
  expect_ok(bitaxon_generate(state.p, prompt.data(), prompt.size(), &options, text.p, ids.p,
                             &found.result));
  found.text = text.text();
  found.ids = ids.ids();
  return found;
}

class CGenerate : public testing::Test {
 protected:
  CGenerate() {
    options_.max_tokens = 40;
    options_.ignore_eos = 1;
    options_.sampler = &sampler_;
    sampler_.seed = 5;
  }

  ModelHandle model_ = open_bundled();
  StateHandle state_ = new_state(model_);
  std::vector<std::int32_t> prompt_ = tokenize(model_, "ROMEO:");
  bitaxon_sampler sampler_ = initialized(bitaxon_sampler_init);
  bitaxon_generate_options options_ = initialized(bitaxon_generate_options_init);
};

TEST_F(CGenerate, GivesTheTextOfTheLibrary) {
  Session session = open_session({.model = bundled_model_dir().string()}, "cpu",
                                 {.precision = Precision::exact}, {.n_threads = 1});
  State state = session.model.new_state();
  GenerateOptions wanted;
  wanted.sampler.seed = 5;
  wanted.max_tokens = 40;
  wanted.ignore_eos = true;
  const GenerateResult expected =
      bitaxon::generate(session.model, state, &*session.vocabulary, prompt_, wanted);
  const Generated found = generate(state_, prompt_, options_);
  EXPECT_EQ(found.text, expected.text);
  EXPECT_EQ(found.ids, expected.token_ids);
  EXPECT_EQ(found.result.prompt_tokens, expected.prompt_tokens);
  EXPECT_EQ(found.result.generated_tokens, 40);
  EXPECT_EQ(found.result.finish_reason, BITAXON_FINISH_LENGTH);
  EXPECT_EQ(found.result.stop_token, -1);
  EXPECT_GT(found.result.total_ms, 0);
  EXPECT_EQ(position_of(state_), state.position());
  // A second turn continues the first.
  const GenerateResult next =
      bitaxon::generate(session.model, state, &*session.vocabulary, prompt_, wanted);
  EXPECT_EQ(generate(state_, prompt_, options_).text, next.text);
}

TEST_F(CGenerate, StreamsTheTextAndTheTokens) {
  struct Seen {
    std::string text;
    std::vector<std::int32_t> ids;
  } seen;
  options_.user = &seen;
  options_.on_text = [](void* user, const char* text, std::uint64_t size) {
    EXPECT_EQ(text[size], '\0');
    static_cast<Seen*>(user)->text.append(text, size);
    return 0;
  };
  options_.on_token = [](void* user, std::int32_t id) {
    static_cast<Seen*>(user)->ids.push_back(id);
    return 0;
  };
  const Generated found = generate(state_, prompt_, options_);
  EXPECT_EQ(seen.text, found.text);
  EXPECT_EQ(seen.ids, found.ids);
}

TEST_F(CGenerate, EndsAtAStopText) {
  const std::string whole = generate(state_, prompt_, options_).text;
  expect_ok(bitaxon_state_reset(state_.p));
  const std::string stop = whole.substr(10, 3);
  const char* const stops[] = {stop.data()};
  const std::uint64_t sizes[] = {stop.size()};
  options_.stop = stops;
  options_.stop_sizes = sizes;
  options_.n_stop = 1;
  const Generated found = generate(state_, prompt_, options_);
  EXPECT_EQ(found.text, whole.substr(0, whole.find(stop)));
  EXPECT_EQ(found.result.finish_reason, BITAXON_FINISH_STOP);
  for (const auto& break_it : std::vector<std::function<void()>>{
           [&] { options_.n_stop = UINT64_MAX; },
           [&] { options_.n_stop = 1, options_.stop = nullptr; },
           [&] { options_.stop = stops, options_.stop_sizes = nullptr; }}) {
    break_it();
    expect_failure(bitaxon_generate(state_.p, prompt_.data(), prompt_.size(), &options_, nullptr,
                                    nullptr, nullptr),
                   BITAXON_STATUS_INVALID_ARGUMENT, "stop");
  }
}

TEST_F(CGenerate, ACallbackEndsTheAnswerAndTheStateIncludesIt) {
  static int n_tokens;
  n_tokens = 0;
  options_.on_token = [](void*, std::int32_t) { return ++n_tokens == 7 ? 1 : 0; };
  const Generated found = generate(state_, prompt_, options_);
  EXPECT_EQ(found.ids.size(), 7u);
  EXPECT_EQ(found.result.finish_reason, BITAXON_FINISH_INTERRUPTED);
  const StateHandle fed = new_state(open_bundled());
  std::vector<std::int32_t> all = prompt_;
  all.insert(all.end(), found.ids.begin(), found.ids.end());
  expect_ok(bitaxon_step(fed.p, all.data(), all.size(), BITAXON_LOGITS_NONE, nullptr));
  EXPECT_EQ(position_of(state_), position_of(fed));
  EXPECT_EQ(snapshot_of(state_), snapshot_of(fed));
}

TEST_F(CGenerate, ATextCallbackIsNotCalledAfterItEndedTheAnswer) {
  static int n_pieces;
  n_pieces = 0;
  options_.on_text = [](void*, const char*, std::uint64_t) { return ++n_pieces; };
  const Generated found = generate(state_, prompt_, options_);
  EXPECT_EQ(n_pieces, 1);
  EXPECT_EQ(found.result.finish_reason, BITAXON_FINISH_INTERRUPTED);
}

TEST_F(CGenerate, ASetTokenEndsTheAnswerBeforeItBegins) {
  CancelHandle cancel;
  expect_ok(bitaxon_cancel_new(&cancel.p));
  bitaxon_cancel_set(cancel.p);
  options_.cancel = cancel.p;
  const Generated found = generate(state_, prompt_, options_);
  EXPECT_TRUE(found.ids.empty());
  EXPECT_EQ(found.result.finish_reason, BITAXON_FINISH_INTERRUPTED);
  EXPECT_EQ(position_of(state_), 0);
  bitaxon_cancel_clear(cancel.p);
  EXPECT_EQ(generate(state_, prompt_, options_).ids.size(), 40u);
}

bitaxon_cancel* cancel_of_signals = nullptr;

TEST_F(CGenerate, ASignalHandlerEndsTheAnswer) {
  CancelHandle cancel;
  expect_ok(bitaxon_cancel_new(&cancel.p));
  cancel_of_signals = cancel.p;
  struct sigaction action {};
  struct sigaction before {};
  action.sa_handler = [](int) { bitaxon_cancel_set(cancel_of_signals); };
  ASSERT_EQ(sigaction(SIGUSR1, &action, &before), 0);
  options_.cancel = cancel.p;
  options_.max_tokens = 3000;
  static int n_tokens;
  n_tokens = 0;
  options_.on_token = [](void*, std::int32_t) {
    if (++n_tokens == 3) raise(SIGUSR1);
    return 0;
  };
  const Generated found = generate(state_, prompt_, options_);
  sigaction(SIGUSR1, &before, nullptr);
  EXPECT_EQ(found.ids.size(), 3u);
  EXPECT_EQ(found.result.finish_reason, BITAXON_FINISH_INTERRUPTED);
}

TEST_F(CGenerate, AnExceptionOfACallbackDoesNotCrossAndChangesNothing) {
  expect_ok(bitaxon_step(state_.p, prompt_.data(), 1, BITAXON_LOGITS_NONE, nullptr));
  const std::string before = snapshot_of(state_);
  options_.on_token = [](void*, std::int32_t) -> std::int32_t { throw std::bad_alloc(); };
  BufferHandle text;
  expect_failure(bitaxon_generate(state_.p, prompt_.data(), prompt_.size(), &options_, text.p,
                                  nullptr, nullptr),
                 BITAXON_STATUS_OUT_OF_MEMORY);
  options_.on_token = [](void*, std::int32_t) -> std::int32_t { throw 1; };
  expect_failure(bitaxon_generate(state_.p, prompt_.data(), prompt_.size(), &options_, text.p,
                                  nullptr, nullptr),
                 BITAXON_STATUS_INTERNAL, "callback");
  EXPECT_EQ(text.text(), "");
  EXPECT_EQ(snapshot_of(state_), before);
}

TEST_F(CGenerate, ACallbackMayFreeHandlesAndIsToldThatTheModelIsBusy) {
  struct Seen {
    ModelHandle* model;
    StateHandle* state;
    std::vector<bitaxon_status> statuses;
  } seen{&model_, &state_, {}};
  options_.user = &seen;
  options_.max_tokens = 2;
  options_.on_token = [](void* user, std::int32_t) {
    Seen& own = *static_cast<Seen*>(user);
    if (own.state->p == nullptr) return 0;
    StateHandle another;
    std::int64_t position = 0;
    own.statuses = {bitaxon_state_new(own.model->p, &another.p),
                    bitaxon_state_position(own.state->p, &position)};
    own.state->free();
    own.model->free();
    return 0;
  };
  const Generated found = generate(state_, prompt_, options_);
  EXPECT_EQ(found.ids.size(), 2u);
  EXPECT_EQ(seen.statuses, (std::vector<bitaxon_status>{BITAXON_STATUS_BUSY, BITAXON_STATUS_BUSY}));
}

}  // namespace
}  // namespace bitaxon::test
