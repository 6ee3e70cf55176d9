// A tokenizer that Python holds.
#pragma once

#include <atomic>
#include <cstdint>
#include <utility>

#include "bitaxon/tokenizer.h"

namespace bitaxon::python {

/// Jobs take copies, because an object of Python must not be freed in their thread.
struct TokenizerHandle {
  explicit TokenizerHandle(Tokenizer loaded) : tokenizer(std::move(loaded)) {}

  Tokenizer tokenizer;
  std::uint64_t id = next_id();  ///< only copies of this tokenizer have the same

 private:
  static std::uint64_t next_id() {
    static std::atomic<std::uint64_t> n = 0;
    return n++;
  }
};

}  // namespace bitaxon::python
