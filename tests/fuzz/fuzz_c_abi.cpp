// Calls functions of the C interface with arguments from the input: null, short and huge ones, structs
// of wrong sizes, ids out of range, in any order. A call must succeed, or fail with one line of text
// and change nothing: no output, and no state. The model has random weights.
//
// Sizes that the library cannot check against a pointer are either right or beyond all limits.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "bitaxon/c/bitaxon.h"
#include "fuzz/expected_error.h"

namespace bitaxon {
namespace {

/// The input as a source of arguments. Zeros follow its end.
class Choices {
 public:
  explicit Choices(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}
  bool done() const { return bytes_.empty(); }
  std::uint8_t byte() {
    if (bytes_.empty()) return 0;
    const std::uint8_t first = bytes_.front();
    bytes_ = bytes_.subspan(1);
    return first;
  }
  std::uint32_t word() {
    std::uint32_t value = 0;
    for (int i = 0; i < 4; ++i) value = value << 8 | byte();
    return value;
  }
  std::string_view text() {
    const std::size_t wanted = byte() % 32;  // takes a byte before the rest is measured
    const std::size_t n = std::min(wanted, bytes_.size());
    const auto* data = reinterpret_cast<const char*>(bytes_.data());
    bytes_ = bytes_.subspan(n);
    return {data, n};
  }
  /// `handle`, or sometimes null.
  template <class T>
  T* maybe(T* handle) {
    return byte() % 8 == 0 ? nullptr : handle;
  }

 private:
  std::span<const std::uint8_t> bytes_;
};

struct Text {
  const char* data;
  std::uint64_t size;
};

Text text_of(Choices& choices) {
  const std::string_view text = choices.text();
  switch (choices.byte() % 8) {
    case 0:
      return {nullptr, text.size()};
    case 1:
      return {text.data(), UINT64_MAX};
    case 2:
      return {text.data(), std::uint64_t{1} << 63};
    default:
      return {text.data(), text.size()};
  }
}

struct Ids {
  std::vector<std::int32_t> values;
  const std::int32_t* data;
  std::uint64_t n;

  explicit Ids(Choices& choices) {
    values.resize(choices.byte() % 8);
    for (std::int32_t& id : values) {
      id = choices.byte();
      if (id == 255) id = static_cast<std::int32_t>(choices.word());
    }
    data = values.data();
    n = values.size();
    if (choices.byte() % 16 == 0) data = nullptr;
    if (choices.byte() % 16 == 1) n = UINT64_MAX - choices.byte();
  }
};

/// A struct with defaults, sometimes with a wrong size.
template <class T>
T struct_of(Choices& choices, bitaxon_status (*init)(T*, std::uint64_t)) {
  T value;
  if (init(&value, sizeof(T)) != BITAXON_STATUS_OK) fuzzer_failed("init", bitaxon_last_error());
  if (choices.byte() % 8 == 0) value.struct_size = choices.word() % (sizeof(T) + 1);
  if (choices.byte() % 16 == 0) value.struct_size = UINT32_MAX - choices.byte();
  return value;
}

bitaxon_sampler sampler_of(Choices& choices) {
  auto sampler = struct_of(choices, bitaxon_sampler_init);
  if (choices.byte() % 4 == 0) {
    const std::uint64_t bits = std::uint64_t{choices.word()} << 32 | choices.word();
    std::memcpy(&sampler.temperature, &bits, sizeof(bits));
    sampler.top_k = static_cast<std::int32_t>(choices.word());
    std::memcpy(&sampler.top_p, &bits, sizeof(bits));
  }
  sampler.seed = choices.byte();
  return sampler;
}

struct Fixture {
  bitaxon_model* model = nullptr;
  bitaxon_tokenizer* tokenizer = nullptr;
  bitaxon_state* states[2] = {nullptr, nullptr};
  bitaxon_decoder* decoder = nullptr;
  bitaxon_buffer* buffer = nullptr;
  bitaxon_buffer* more = nullptr;
  bitaxon_request* request = nullptr;
  bitaxon_cancel* cancel = nullptr;

  Fixture() {
    bitaxon_model_options options;
    bitaxon_model_options_init(&options, sizeof(options));
    options.device = "cpu";
    options.device_size = 3;
    options.preset = "small";
    options.preset_size = 5;
    options.threads = 1;
    options.slots = 2;
    options.context = 64;
    const bool made = bitaxon_model_open(nullptr, 0, &options, &model) == BITAXON_STATUS_OK &&
                      bitaxon_model_tokenizer(model, &tokenizer) == BITAXON_STATUS_OK &&
                      bitaxon_decoder_new(tokenizer, 0, &decoder) == BITAXON_STATUS_OK &&
                      bitaxon_buffer_new(&buffer) == BITAXON_STATUS_OK &&
                      bitaxon_buffer_new(&more) == BITAXON_STATUS_OK &&
                      bitaxon_cancel_new(&cancel) == BITAXON_STATUS_OK;
    if (!made) fuzzer_failed("no model", bitaxon_last_error());
  }
  void begin() {
    for (bitaxon_state*& state : states) {
      bitaxon_state_free(state);
      state = nullptr;
      bitaxon_state_new(model, &state);
    }
    bitaxon_cancel_clear(cancel);
  }
  void end() {
    bitaxon_request_free(request);
    request = nullptr;
  }
  bitaxon_status generate(Choices& choices, bool in_background);
  bitaxon_status call(Choices& choices, std::int32_t& number);
};

bitaxon_status Fixture::generate(Choices& choices, bool in_background) {
  const bitaxon_sampler sampler = sampler_of(choices);
  auto options = struct_of(choices, bitaxon_generate_options_init);
  options.sampler = choices.maybe(&sampler);
  options.max_tokens = static_cast<std::int8_t>(choices.byte() % 8) - 1;
  options.cancel = choices.maybe(cancel);
  const Text stop = text_of(choices);
  options.stop = &stop.data;
  options.stop_sizes = &stop.size;
  options.n_stop = choices.byte() % 4 == 0 ? 1 : 0;
  options.ignore_eos = choices.byte() % 3;
  const Ids prompt(choices);
  if (in_background) {
    end();
    const bitaxon_status status =
        bitaxon_request_submit(choices.maybe(states[0]), prompt.data, prompt.n, &options, &request);
    return status == BITAXON_STATUS_OK ? bitaxon_request_wait(request, -1) : status;
  }
  auto result = struct_of(choices, bitaxon_generate_result_init);
  return bitaxon_generate(choices.maybe(states[0]), prompt.data, prompt.n, &options,
                          choices.maybe(buffer), choices.maybe(more), choices.maybe(&result));
}

bitaxon_status Fixture::call(Choices& choices, std::int32_t& number) {
  bitaxon_buffer* const out = choices.maybe(buffer);
  bitaxon_state* const state = choices.maybe(states[choices.byte() % 2]);
  bitaxon_tokenizer* const text_tools = choices.maybe(tokenizer);
  switch (choices.byte() % 24) {
    case 0: {
      const Text text = text_of(choices);
      return bitaxon_tokenize(text_tools, text.data, text.size, choices.byte() % 5, out);
    }
    case 1: {
      const Ids ids(choices);
      return bitaxon_detokenize(text_tools, ids.data, ids.n, choices.byte() % 3, out);
    }
    case 2: {
      const Text text = text_of(choices);
      return bitaxon_token_id(text_tools, text.data, text.size, choices.maybe(&number));
    }
    case 3: {
      const Text text = text_of(choices);
      auto options = struct_of(choices, bitaxon_chat_options_init);
      const Text variables = text_of(choices);
      options.variables = variables.data;
      options.variables_size = variables.size;
      return bitaxon_chat_text(text_tools, text.data, text.size, choices.maybe(&options), out);
    }
    case 4:
      return bitaxon_decoder_push(choices.maybe(decoder), static_cast<std::int32_t>(choices.word()),
                                  out);
    case 5:
      return bitaxon_decoder_finish(choices.maybe(decoder), out);
    case 6:
      return bitaxon_model_info(choices.maybe(model), out);
    case 7:
      return bitaxon_state_reset(state);
    case 8:
      return bitaxon_state_rewind(state, static_cast<std::int8_t>(choices.byte()));
    case 9:
      return bitaxon_state_rewindable(state, choices.maybe(&number));
    case 10:
      return bitaxon_state_snapshot(state, out);
    case 11:
      return bitaxon_state_restore(state, bitaxon_buffer_data(out), bitaxon_buffer_size(out));
    case 12: {
      const Text bytes = text_of(choices);
      return bitaxon_state_restore(state, bytes.data, bytes.size);
    }
    case 13: {
      const Text path = text_of(choices);
      return bitaxon_state_load(state, path.data, path.size);
    }
    case 14: {
      const Ids ids(choices);
      return bitaxon_step(state, ids.data, ids.n, static_cast<std::int32_t>(choices.byte() % 5) - 1,
                          out);
    }
    case 15: {
      const Ids ids(choices);
      const bitaxon_sampler sampler = sampler_of(choices);
      return bitaxon_step_token(state, ids.data, ids.n, choices.maybe(&sampler),
                                choices.maybe(&number));
    }
    case 16:
      return generate(choices, false);
    case 17:
      return generate(choices, true);
    case 18:
      return bitaxon_request_next(request, choices.byte() % 2, out);
    case 19:
      return bitaxon_request_result(request, out, choices.maybe(more), nullptr);
    case 20: {
      bitaxon_request_cancel(request);
      return bitaxon_request_poll(request, choices.maybe(&number));
    }
    case 21: {
      const Ids ids(choices);
      auto options = struct_of(choices, bitaxon_evaluate_options_init);
      options.seq_length = static_cast<std::int32_t>(choices.word() % 80) - 1;
      options.carry = choices.byte() % 3;
      auto found = struct_of(choices, bitaxon_evaluation_init);
      return bitaxon_evaluate(choices.maybe(model), ids.data, ids.n, choices.maybe(&options),
                              choices.maybe(&found));
    }
    case 22: {
      bitaxon_state* fork = nullptr;
      bitaxon_state_free(states[1]);
      states[1] = nullptr;
      const bitaxon_status status = bitaxon_state_fork(choices.maybe(states[0]), &fork);
      states[1] = fork;
      return status;
    }
    default:
      if (choices.byte() % 2 == 0)
        bitaxon_cancel_set(cancel);
      else
        bitaxon_cancel_clear(cancel);
      return bitaxon_build_info(out);
  }
}

std::string contents(const bitaxon_buffer* buffer) {
  return {static_cast<const char*>(bitaxon_buffer_data(buffer)),
          static_cast<std::size_t>(bitaxon_buffer_size(buffer))};
}

std::string position_text(bitaxon_state* state) {
  std::int64_t position = -1;
  bitaxon_state_position(state, &position);
  return std::to_string(position);
}

void check_failure(bitaxon_status status) {
  if (std::strcmp(bitaxon_status_name(status), "UNKNOWN") == 0)
    fuzzer_failed("unknown status", std::to_string(status));
  if (status == BITAXON_STATUS_INTERNAL) fuzzer_failed("internal", bitaxon_last_error());
  const std::string_view text = bitaxon_last_error();
  if (text.empty()) fuzzer_failed("no error text", bitaxon_status_name(status));
  for (const char c : text)
    if (static_cast<unsigned char>(c) < 0x20) fuzzer_failed("control character", text);
}

}  // namespace
}  // namespace bitaxon

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace bitaxon;
  static Fixture fixture;
  fixture.begin();
  Choices choices({data, size});
  for (int i = 0; i < 24 && !choices.done(); ++i) {
    const std::string before =
        contents(fixture.buffer) + contents(fixture.more) + position_text(fixture.states[0]);
    std::int32_t number = 77;
    const bitaxon_status status = fixture.call(choices, number);
    if (status == BITAXON_STATUS_OK) {
      if (*bitaxon_last_error() != '\0') fuzzer_failed("text after success", bitaxon_last_error());
      continue;
    }
    check_failure(status);
    if (number != 77) fuzzer_failed("a failed call wrote a number", bitaxon_last_error());
    const std::string text = bitaxon_last_error();
    if (contents(fixture.buffer) + contents(fixture.more) + position_text(fixture.states[0]) !=
        before)
      fuzzer_failed("a failed call changed something", text);
  }
  fixture.end();
  return 0;
}
