// What the handles of the C interface point to.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "bitaxon/c/types.h"
#include "c_abi/arguments.h"

/// Bytes for the caller. A std::string has a 0 byte behind its contents, and its memory is aligned
/// for every type of number.
struct bitaxon_buffer {
  std::string bytes;
};

struct bitaxon_cancel {
  /// Shared with the requests that were given the token, so that it may be freed before them.
  std::shared_ptr<std::atomic<bool>> flag = std::make_shared<std::atomic<bool>>(false);
};

namespace bitaxon::c {

/// A cancel token of the caller, or none.
class Cancel {
 public:
  explicit Cancel(const bitaxon_cancel* token) {
    if (token != nullptr) flag_ = token->flag;
  }
  bool is_set() const { return flag_ && *flag_; }
  void check() const {
    if (is_set()) throw Failure(BITAXON_STATUS_INTERRUPTED, "interrupted by a cancel token");
  }

 private:
  std::shared_ptr<const std::atomic<bool>> flag_;
};

/// Replaces the contents of a buffer. Changes nothing if there is no memory.
inline void fill(bitaxon_buffer* buffer, std::string_view bytes) {
  if (buffer != nullptr) buffer->bytes.assign(bytes);
}

/// Room for the contents of a buffer, so that the later fill() cannot fail.
inline void reserve(bitaxon_buffer* buffer, std::size_t size) {
  if (buffer != nullptr) buffer->bytes.reserve(size);
}

template <class T>
std::string_view bytes_of(std::span<const T> numbers) {
  return {reinterpret_cast<const char*>(numbers.data()), numbers.size_bytes()};
}

/// Makes a handle and gives it to the caller.
template <class Handle, class... Arguments>
void give(Handle** out, Arguments&&... arguments) {
  *out = new Handle{std::forward<Arguments>(arguments)...};
}

}  // namespace bitaxon::c
