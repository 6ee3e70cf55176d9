// Tests of the rules that hold for all functions: null pointers, huge sizes, structs of other sizes.
#include <functional>

#include "c_tests/handles.h"

namespace bitaxon::test {
namespace {

constexpr std::uint64_t kHuge = UINT64_MAX;

/// A model, a state and one handle of every other type, for calls with one bad argument.
struct Handles {
  ModelHandle model = open_small();
  StateHandle state = new_state(model);
  TokenizerHandle tokenizer;
  DecoderHandle decoder;
  BufferHandle buffer;
  DeviceListHandle devices;
  RequestHandle request;
  std::int32_t ids[2] = {65, 66};

  Handles() {
    expect_ok(bitaxon_model_tokenizer(model.p, &tokenizer.p));
    expect_ok(bitaxon_decoder_new(tokenizer.p, 0, &decoder.p));
    auto options = initialized(bitaxon_generate_options_init);
    options.max_tokens = 1;
    expect_ok(bitaxon_request_submit(state.p, ids, 2, &options, &request.p));
    expect_ok(bitaxon_request_wait(request.p, -1));
  }
};

TEST(CArguments, RefuseNullAndHugeSizes) {
  Handles h;
  const std::string before = snapshot_of(h.state);
  bitaxon_buffer* const b = h.buffer.p;
  std::int32_t number = 77;
  std::int64_t position = 77;
  auto info = initialized(bitaxon_device_info_init);
  auto evaluation = initialized(bitaxon_evaluation_init);
  ModelHandle model;
  TokenizerHandle tokenizer;
  DecoderHandle decoder;
  StateHandle state;
  RequestHandle request;
  const std::function<bitaxon_status()> calls[] = {
      [] { return bitaxon_buffer_new(nullptr); },
      [] { return bitaxon_cancel_new(nullptr); },
      [] { return bitaxon_build_info(nullptr); },
      [] { return bitaxon_devices(nullptr); },
      [] { return bitaxon_device_list_new(nullptr); },
      [&] { return bitaxon_device_list_at(nullptr, 0, &info); },
      [&] { return bitaxon_device_list_at(h.devices.p, 0, nullptr); },
      [] { return bitaxon_model_options_init(nullptr, sizeof(bitaxon_model_options)); },
      [] { return bitaxon_model_open("x", 1, nullptr, nullptr); },
      [&] { return bitaxon_model_open(nullptr, 1, nullptr, &model.p); },
      [&] { return bitaxon_model_open("x", kHuge, nullptr, &model.p); },
      [&] { return bitaxon_model_open("a\0b", 3, nullptr, &model.p); },
      [&] { return bitaxon_model_info(nullptr, b); },
      [&] { return bitaxon_model_info(h.model.p, nullptr); },
      [&] { return bitaxon_model_tokenizer(nullptr, &tokenizer.p); },
      [&] { return bitaxon_model_tokenizer(h.model.p, nullptr); },
      [] { return bitaxon_memory_estimate("x", 1, nullptr, nullptr); },
      [&] { return bitaxon_memory_estimate(nullptr, 1, nullptr, b); },
      [&] { return bitaxon_tokenizer_open(nullptr, 0, &tokenizer.p); },
      [&] { return bitaxon_tokenizer_open("x", kHuge, &tokenizer.p); },
      [] { return bitaxon_tokenizer_open("x", 1, nullptr); },
      [&] { return bitaxon_tokenizer_info(nullptr, b); },
      [&] { return bitaxon_tokenizer_info(h.tokenizer.p, nullptr); },
      [&] { return bitaxon_tokenize(nullptr, "x", 1, 0, b); },
      [&] { return bitaxon_tokenize(h.tokenizer.p, nullptr, 1, 0, b); },
      [&] { return bitaxon_tokenize(h.tokenizer.p, "x", kHuge, 0, b); },
      [&] { return bitaxon_tokenize(h.tokenizer.p, "x", 1, 4, b); },
      [&] { return bitaxon_tokenize(h.tokenizer.p, "x", 1, 0, nullptr); },
      [&] { return bitaxon_detokenize(nullptr, h.ids, 2, 0, b); },
      [&] { return bitaxon_detokenize(h.tokenizer.p, nullptr, 2, 0, b); },
      [&] { return bitaxon_detokenize(h.tokenizer.p, h.ids, kHuge, 0, b); },
      [&] { return bitaxon_detokenize(h.tokenizer.p, h.ids, 2, 2, b); },
      [&] { return bitaxon_detokenize(h.tokenizer.p, h.ids, 2, 0, nullptr); },
      [&] { return bitaxon_token_id(nullptr, "x", 1, &number); },
      [&] { return bitaxon_token_id(h.tokenizer.p, nullptr, 1, &number); },
      [&] { return bitaxon_token_id(h.tokenizer.p, "x", 1, nullptr); },
      [&] { return bitaxon_chat_text(nullptr, "[]", 2, nullptr, b); },
      [&] { return bitaxon_chat_text(h.tokenizer.p, nullptr, 2, nullptr, b); },
      [&] { return bitaxon_chat_text(h.tokenizer.p, "[]", kHuge, nullptr, b); },
      [&] { return bitaxon_chat_text(h.tokenizer.p, "[]", 2, nullptr, nullptr); },
      [&] { return bitaxon_chat_tokens(nullptr, "[]", 2, nullptr, b); },
      [&] { return bitaxon_chat_tokens(h.tokenizer.p, "[]", 2, nullptr, nullptr); },
      [&] { return bitaxon_decoder_new(nullptr, 0, &decoder.p); },
      [&] { return bitaxon_decoder_new(h.tokenizer.p, 2, &decoder.p); },
      [&] { return bitaxon_decoder_new(h.tokenizer.p, 0, nullptr); },
      [&] { return bitaxon_decoder_push(nullptr, 1, b); },
      [&] { return bitaxon_decoder_push(h.decoder.p, 1, nullptr); },
      [&] { return bitaxon_decoder_finish(nullptr, b); },
      [&] { return bitaxon_decoder_finish(h.decoder.p, nullptr); },
      [&] { return bitaxon_state_new(nullptr, &state.p); },
      [&] { return bitaxon_state_new(h.model.p, nullptr); },
      [&] { return bitaxon_state_fork(nullptr, &state.p); },
      [&] { return bitaxon_state_fork(h.state.p, nullptr); },
      [&] { return bitaxon_state_position(nullptr, &position); },
      [&] { return bitaxon_state_position(h.state.p, nullptr); },
      [] { return bitaxon_state_reset(nullptr); },
      [] { return bitaxon_state_rewind(nullptr, 0); },
      [&] { return bitaxon_state_rewind(h.state.p, -1); },
      [&] { return bitaxon_state_rewind(h.state.p, INT32_MAX); },
      [&] { return bitaxon_state_rewindable(nullptr, &number); },
      [&] { return bitaxon_state_rewindable(h.state.p, nullptr); },
      [&] { return bitaxon_state_snapshot(nullptr, b); },
      [&] { return bitaxon_state_snapshot(h.state.p, nullptr); },
      [] { return bitaxon_state_restore(nullptr, "x", 1); },
      [&] { return bitaxon_state_restore(h.state.p, nullptr, 1); },
      [&] { return bitaxon_state_restore(h.state.p, "x", kHuge); },
      [] { return bitaxon_state_save(nullptr, "x", 1); },
      [&] { return bitaxon_state_save(h.state.p, nullptr, 1); },
      [&] { return bitaxon_state_save(h.state.p, "x", 0); },
      [&] { return bitaxon_state_load(h.state.p, "x", kHuge); },
      [] { return bitaxon_state_load(nullptr, "x", 1); },
      [&] { return bitaxon_step(nullptr, h.ids, 2, BITAXON_LOGITS_LAST, b); },
      [&] { return bitaxon_step(h.state.p, nullptr, 2, BITAXON_LOGITS_LAST, b); },
      [&] { return bitaxon_step(h.state.p, h.ids, 0, BITAXON_LOGITS_LAST, b); },
      [&] { return bitaxon_step(h.state.p, h.ids, kHuge, BITAXON_LOGITS_LAST, b); },
      [&] { return bitaxon_step(h.state.p, h.ids, 2, 3, b); },
      [&] { return bitaxon_step(h.state.p, h.ids, 2, BITAXON_LOGITS_LAST, nullptr); },
      [&] { return bitaxon_step_token(nullptr, h.ids, 2, nullptr, &number); },
      [&] { return bitaxon_step_token(h.state.p, nullptr, 2, nullptr, &number); },
      [&] { return bitaxon_step_token(h.state.p, h.ids, kHuge, nullptr, &number); },
      [&] { return bitaxon_step_token(h.state.p, h.ids, 2, nullptr, nullptr); },
      [&] { return bitaxon_generate(nullptr, h.ids, 2, nullptr, b, nullptr, nullptr); },
      [&] { return bitaxon_generate(h.state.p, nullptr, 2, nullptr, b, nullptr, nullptr); },
      [&] { return bitaxon_generate(h.state.p, h.ids, 0, nullptr, b, nullptr, nullptr); },
      [&] { return bitaxon_generate(h.state.p, h.ids, kHuge, nullptr, b, nullptr, nullptr); },
      [&] { return bitaxon_generate(h.state.p, h.ids, 2, nullptr, b, b, nullptr); },
      [&] { return bitaxon_request_submit(nullptr, h.ids, 2, nullptr, &request.p); },
      [&] { return bitaxon_request_submit(h.state.p, nullptr, 2, nullptr, &request.p); },
      [&] { return bitaxon_request_submit(h.state.p, h.ids, kHuge, nullptr, &request.p); },
      [&] { return bitaxon_request_submit(h.state.p, h.ids, 2, nullptr, nullptr); },
      [&] { return bitaxon_request_poll(nullptr, &number); },
      [&] { return bitaxon_request_poll(h.request.p, nullptr); },
      [] { return bitaxon_request_wait(nullptr, 0); },
      [&] { return bitaxon_request_next(nullptr, 0, b); },
      [&] { return bitaxon_request_next(h.request.p, 0, nullptr); },
      [&] { return bitaxon_request_result(nullptr, b, nullptr, nullptr); },
      [&] { return bitaxon_quantize("x", kHuge, "y", 1, nullptr, b); },
      [&] { return bitaxon_quantize("x", 1, nullptr, 0, nullptr, b); },
      [&] { return bitaxon_merge("x", 1, nullptr, 1, "y", 1, nullptr, b); },
      [&] { return bitaxon_merge("x", 1, "a", 1, "y", kHuge, nullptr, b); },
      [&] { return bitaxon_evaluate(nullptr, h.ids, 2, nullptr, &evaluation); },
      [&] { return bitaxon_evaluate(h.model.p, nullptr, 2, nullptr, &evaluation); },
      [&] { return bitaxon_evaluate(h.model.p, h.ids, kHuge, nullptr, &evaluation); },
      [&] { return bitaxon_evaluate(h.model.p, h.ids, 1, nullptr, &evaluation); },
      [&] { return bitaxon_evaluate(h.model.p, h.ids, 2, nullptr, nullptr); },
  };
  int index = 0;
  for (const auto& call : calls) {
    SCOPED_TRACE(index++);
    expect_failure(call(), BITAXON_STATUS_INVALID_ARGUMENT);
  }
  EXPECT_EQ(h.buffer.text(), "");
  EXPECT_EQ(number, 77);
  EXPECT_EQ(position, 77);
  EXPECT_EQ(evaluation.tokens, 0);
  for (const void* handle :
       {static_cast<const void*>(model.p), static_cast<const void*>(state.p),
        static_cast<const void*>(tokenizer.p), static_cast<const void*>(decoder.p),
        static_cast<const void*>(request.p)})
    EXPECT_EQ(handle, nullptr);
  EXPECT_EQ(snapshot_of(h.state), before);
}

TEST(CArguments, FreeAcceptsNull) {
  bitaxon_buffer_free(nullptr);
  bitaxon_cancel_free(nullptr);
  bitaxon_decoder_free(nullptr);
  bitaxon_device_list_free(nullptr);
  bitaxon_model_free(nullptr);
  bitaxon_request_free(nullptr);
  bitaxon_request_cancel(nullptr);
  bitaxon_state_free(nullptr);
  bitaxon_tokenizer_free(nullptr);
  EXPECT_EQ(bitaxon_model_vocab_size(nullptr), 0);
  EXPECT_EQ(bitaxon_model_context(nullptr), 0);
}

/// A struct of a newer program: with a part behind the end.
template <class T>
struct Longer {
  T known;
  std::uint64_t tail[2];
};

/// Checks the _init function and the rules of struct_size. `use` makes a call with the struct.
template <class T>
void check_sizes(bitaxon_status (*init)(T*, std::uint64_t),
                 const std::function<bitaxon_status(T*)>& use) {
  Longer<T> longer;
  std::memset(&longer, 0xAB, sizeof(longer));
  const Longer<T> before = longer;
  for (const std::uint64_t size :
       {std::uint64_t{0}, std::uint64_t{sizeof(T) - 1}, kHuge, std::uint64_t{1025}}) {
    expect_failure(init(&longer.known, size), BITAXON_STATUS_INVALID_ARGUMENT, "size");
    EXPECT_EQ(std::memcmp(&longer, &before, sizeof(longer)), 0) << "the failed call wrote";
  }
  expect_ok(init(&longer.known, sizeof(T)));
  EXPECT_EQ(longer.known.struct_size, sizeof(T));
  EXPECT_EQ(longer.tail[0], before.tail[0]) << "the call wrote behind the struct";
  expect_ok(use(&longer.known));

  expect_ok(init(&longer.known, sizeof(longer)));
  EXPECT_EQ(longer.known.struct_size, sizeof(longer));
  EXPECT_EQ(longer.tail[1], 0u);
  expect_ok(use(&longer.known));
  EXPECT_EQ(longer.known.struct_size, sizeof(longer)) << "the caller's size must stay";

  longer.tail[1] = 1;
  expect_failure(use(&longer.known), BITAXON_STATUS_INVALID_ARGUMENT, "expected zeros");
  longer.tail[1] = 0;
  for (const std::uint32_t size : {0U, 4U, static_cast<std::uint32_t>(sizeof(T)) - 1, UINT32_MAX}) {
    longer.known.struct_size = size;
    const Longer<T> unused = longer;
    expect_failure(use(&longer.known), BITAXON_STATUS_INVALID_ARGUMENT, "struct_size");
    EXPECT_EQ(std::memcmp(&longer, &unused, sizeof(longer)), 0) << "the failed call wrote";
  }
}

TEST(CArguments, StructsOfOtherVersionsAreReadOrRefused) {
  Handles h;
  h.request.free();
  DeviceListHandle devices;
  expect_ok(bitaxon_device_list_new(&devices.p));
  auto brief = initialized(bitaxon_generate_options_init);
  brief.max_tokens = 1;
  const std::string model = bundled_model_dir().string();
  check_sizes<bitaxon_model_options>(bitaxon_model_options_init, [&](bitaxon_model_options* o) {
    return bitaxon_memory_estimate(model.data(), model.size(), o, h.buffer.p);
  });
  check_sizes<bitaxon_sampler>(bitaxon_sampler_init, [&](bitaxon_sampler* o) {
    std::int32_t token = 0;
    return bitaxon_step_token(h.state.p, h.ids, 2, o, &token);
  });
  check_sizes<bitaxon_generate_options>(
      bitaxon_generate_options_init, [&](bitaxon_generate_options* o) {
        o->max_tokens = 1;
        return bitaxon_generate(h.state.p, h.ids, 2, o, nullptr, nullptr, nullptr);
      });
  check_sizes<bitaxon_generate_result>(
      bitaxon_generate_result_init, [&](bitaxon_generate_result* o) {
        return bitaxon_generate(h.state.p, h.ids, 2, &brief, nullptr, nullptr, o);
      });
  check_sizes<bitaxon_device_info>(bitaxon_device_info_init, [&](bitaxon_device_info* o) {
    return bitaxon_device_list_at(devices.p, 0, o);
  });
  const ModelHandle bundled = open_bundled();
  TokenizerHandle tokenizer;
  expect_ok(bitaxon_model_tokenizer(bundled.p, &tokenizer.p));
  const std::string_view messages = R"([{"role": "user", "content": "Hi"}])";
  check_sizes<bitaxon_chat_options>(bitaxon_chat_options_init, [&](bitaxon_chat_options* o) {
    return bitaxon_chat_text(tokenizer.p, messages.data(), messages.size(), o, h.buffer.p);
  });
  check_sizes<bitaxon_evaluate_options>(
      bitaxon_evaluate_options_init, [&](bitaxon_evaluate_options* o) {
        auto evaluation = initialized(bitaxon_evaluation_init);
        return bitaxon_evaluate(bundled.p, h.ids, 2, o, &evaluation);
      });
  check_sizes<bitaxon_evaluation>(bitaxon_evaluation_init, [&](bitaxon_evaluation* o) {
    return bitaxon_evaluate(bundled.p, h.ids, 2, nullptr, o);
  });
}

TEST(CArguments, FieldsOutOfRangeAreRefusedByName) {
  const std::string model = bundled_model_dir().string();
  const auto refuses = [&](const char* name,
                           const std::function<void(bitaxon_model_options&)>& set) {
    bitaxon_model_options options = model_options();
    set(options);
    ModelHandle opened;
    expect_failure(bitaxon_model_open(model.data(), model.size(), &options, &opened.p),
                   BITAXON_STATUS_INVALID_ARGUMENT, name);
    EXPECT_EQ(opened.p, nullptr);
  };
  refuses("precision", [](auto& o) { o.precision = 3; });
  refuses("context", [](auto& o) { o.context = -1; });
  refuses("context", [](auto& o) { o.context = 1 << 20; });
  refuses("slots", [](auto& o) { o.slots = 0; });
  refuses("slots", [](auto& o) { o.slots = INT32_MAX; });
  refuses("forks", [](auto& o) { o.forks = -1; });
  refuses("forks", [](auto& o) { o.forks = INT32_MAX; });
  refuses("run_ahead", [](auto& o) { o.run_ahead = 9; });
  refuses("threads", [](auto& o) { o.threads = -1; });
  refuses("device", [](auto& o) { o.device_size = kHuge; });
  refuses("device", [](auto& o) { o.device = nullptr; });
  refuses("quantize", [](auto& o) { o.quantize = "q5", o.quantize_size = 2; });

  refuses("bits", [](auto& o) { o.quantize_bits = 5; });
  refuses("quantize_group_size", [](auto& o) { o.quantize_group_size = 0; });

  const ModelHandle small = open_small();
  const StateHandle state = new_state(small);
  const std::int32_t id = 65;
  const auto refuses_sampler = [&](const char* name,
                                   const std::function<void(bitaxon_sampler&)>& set) {
    auto sampler = initialized(bitaxon_sampler_init);
    set(sampler);
    std::int32_t token = 77;
    expect_failure(bitaxon_step_token(state.p, &id, 1, &sampler, &token),
                   BITAXON_STATUS_INVALID_ARGUMENT, name);
    EXPECT_EQ(token, 77);
  };
  refuses_sampler("temperature", [](auto& s) { s.temperature = -1; });
  refuses_sampler("temperature", [](auto& s) { s.temperature = __builtin_nan(""); });
  refuses_sampler("top", [](auto& s) { s.top_p = 2; });
  refuses_sampler("reserved", [](auto& s) { s.reserved = 1; });
  const std::int32_t far = 1 << 20;
  expect_failure(bitaxon_step(state.p, &far, 1, BITAXON_LOGITS_NONE, nullptr),
                 BITAXON_STATUS_INVALID_ARGUMENT, "1048576");
  EXPECT_EQ(position_of(state), 0);
}

}  // namespace
}  // namespace bitaxon::test
