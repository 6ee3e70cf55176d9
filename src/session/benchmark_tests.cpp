// The tests that a benchmark consists of.
#include <fmt/format.h>

#include <algorithm>

#include "bitaxon/benchmark.h"
#include "bitaxon/error.h"

namespace bitaxon {

std::string_view name_of(BenchKind kind) {
  switch (kind) {
    case BenchKind::prefill:
      return "prefill";
    case BenchKind::first_token:
      return "first_token";
    case BenchKind::decode:
      break;
  }
  return "decode";
}

std::vector<BenchTest> tests_of(const BenchWish& wish) {
  std::vector<BenchTest> tests;
  const bool after_prompts = std::ranges::find(wish.depths, 0) != wish.depths.end();
  for (const std::int64_t length : wish.seq_lengths) {
    tests.push_back({BenchKind::prefill, length, 0});
    tests.push_back({BenchKind::first_token, length, 0});
    if (after_prompts && wish.n_decode_tokens > 0)
      tests.push_back({BenchKind::decode, wish.n_decode_tokens, length});
  }
  for (const std::int64_t depth : wish.depths)
    if (depth > 0 && wish.n_decode_tokens > 0)
      tests.push_back({BenchKind::decode, wish.n_decode_tokens, depth, true});
  return tests;
}

void check_lengths(const std::vector<BenchTest>& tests, const ModelSpec& spec) {
  for (const BenchTest& test : tests)
    if (test.position + test.n_tokens > spec.max_seq_len)
      throw Error(ErrorKind::invalid_argument,
                  fmt::format("{} of {} tokens at {}: expected an end within max_seq_len, "
                              "which is {}, got {}",
                              name_of(test.kind), test.n_tokens, test.position, spec.max_seq_len,
                              test.position + test.n_tokens));
}

}  // namespace bitaxon
