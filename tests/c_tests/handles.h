// Handles of the C interface that free themselves, and short ways to call it.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "bitaxon/c/bitaxon.h"
#include "support/source_tree.h"

namespace bitaxon::test {

/// A handle. Calls take it as in C, by `handle.p` and `&handle.p`.
template <class T, void (*Free)(T*)>
struct Owned {
  T* p = nullptr;

  Owned() = default;
  Owned(Owned&& other) noexcept : p(other.p) { other.p = nullptr; }
  Owned& operator=(Owned&&) = delete;
  ~Owned() { Free(p); }
  void free() {
    Free(p);
    p = nullptr;
  }
};

using ModelHandle = Owned<bitaxon_model, bitaxon_model_free>;
using TokenizerHandle = Owned<bitaxon_tokenizer, bitaxon_tokenizer_free>;
using DecoderHandle = Owned<bitaxon_decoder, bitaxon_decoder_free>;
using StateHandle = Owned<bitaxon_state, bitaxon_state_free>;
using RequestHandle = Owned<bitaxon_request, bitaxon_request_free>;
using CancelHandle = Owned<bitaxon_cancel, bitaxon_cancel_free>;
using DeviceListHandle = Owned<bitaxon_device_list, bitaxon_device_list_free>;

/// A buffer, and its contents as C++ types.
struct BufferHandle : Owned<bitaxon_buffer, bitaxon_buffer_free> {
  BufferHandle() { EXPECT_EQ(bitaxon_buffer_new(&p), BITAXON_STATUS_OK); }
  std::string text() const {
    return {static_cast<const char*>(bitaxon_buffer_data(p)),
            static_cast<std::size_t>(bitaxon_buffer_size(p))};
  }
  template <class T>
  std::vector<T> numbers() const {
    std::vector<T> values(static_cast<std::size_t>(bitaxon_buffer_size(p)) / sizeof(T));
    if (!values.empty())
      std::memcpy(values.data(), bitaxon_buffer_data(p), values.size() * sizeof(T));
    return values;
  }
  std::vector<std::int32_t> ids() const { return numbers<std::int32_t>(); }
};

/// Expects success, and shows the error text otherwise.
inline void expect_ok(bitaxon_status status) {
  EXPECT_EQ(status, BITAXON_STATUS_OK)
      << bitaxon_status_name(status) << ": " << bitaxon_last_error();
}
/// Expects a failure whose text has this fragment.
inline void expect_failure(bitaxon_status status, bitaxon_status expected,
                           std::string_view fragment = {}) {
  const std::string text = bitaxon_last_error();
  EXPECT_STREQ(bitaxon_status_name(status), bitaxon_status_name(expected)) << text;
  EXPECT_FALSE(text.empty());
  EXPECT_NE(text.find(fragment), text.npos) << text;
}

/// Struct with its defaults.
template <class T>
T initialized(bitaxon_status (*init)(T*, std::uint64_t)) {
  T value;
  expect_ok(init(&value, sizeof(T)));
  return value;
}

inline bitaxon_model_options model_options() {
  auto options = initialized(bitaxon_model_options_init);
  options.device = "cpu";
  options.device_size = 3;
  options.threads = 1;
  options.precision = BITAXON_PRECISION_EXACT;
  return options;
}

inline ModelHandle open_model(const std::string& name, const bitaxon_model_options& options) {
  ModelHandle model;
  expect_ok(bitaxon_model_open(name.data(), name.size(), &options, &model.p));
  return model;
}
inline ModelHandle open_bundled(const bitaxon_model_options& options = model_options()) {
  return open_model(bundled_model_dir().string(), options);
}
/// Random weights of the preset "small", with the byte tokenizer.
inline ModelHandle open_small(bitaxon_model_options options = model_options()) {
  options.preset = "small";
  options.preset_size = 5;
  return open_model("", options);
}

inline StateHandle new_state(const ModelHandle& model) {
  StateHandle state;
  expect_ok(bitaxon_state_new(model.p, &state.p));
  return state;
}

inline std::int64_t position_of(const StateHandle& state) {
  std::int64_t position = -1;
  expect_ok(bitaxon_state_position(state.p, &position));
  return position;
}

inline std::string snapshot_of(const StateHandle& state) {
  BufferHandle bytes;
  expect_ok(bitaxon_state_snapshot(state.p, bytes.p));
  return bytes.text();
}

inline std::vector<std::int32_t> tokenize(const ModelHandle& model, std::string_view text) {
  TokenizerHandle tokenizer;
  expect_ok(bitaxon_model_tokenizer(model.p, &tokenizer.p));
  BufferHandle ids;
  expect_ok(bitaxon_tokenize(tokenizer.p, text.data(), text.size(), 0, ids.p));
  return ids.ids();
}

}  // namespace bitaxon::test
