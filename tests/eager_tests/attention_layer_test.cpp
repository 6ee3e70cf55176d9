// Tests of the attention layer on arrays.
#include "eager/attention_layer.h"

#include <gtest/gtest.h>

#include "bitaxon/error.h"
#include "eager_tests/recorded_layers.h"
#include "support/backends.h"
#include "support/tensors.h"

namespace bitaxon::test {
namespace {

constexpr double kBound = 1e-5;  // bound on the relative L2 error, see tests/golden/README.md
TEST(AttentionLayer, AgreesWithTheRecordingInAnySplit) {
  for (const std::size_t piece : {std::size_t{512}, std::size_t{100}, std::size_t{7}}) {
    RecordedAttention attention(cpu_device(), 16);
    const auto x = attention.recorded("x");
    expect_close(attention.run(x, piece), attention.recorded("y_causal"),
                 static_cast<std::int64_t>(x.size() / attention.width), kBound,
                 "in pieces of " + std::to_string(piece));
  }
}

TEST(AttentionLayer, ReturnsKeysAndValuesByHeads) {
  RecordedAttention attention(cpu_device(), 16);
  const auto x = attention.recorded("decode.x");
  const auto expected = attention.recorded("decode.k_cache");
  const std::size_t n = x.size() / attention.width;
  const std::size_t kept = expected.size() / attention.width;
  const auto result = attention.layer->run(1, static_cast<std::int64_t>(n), x,
                                           {.n_rows = 0, .keys = {}, .values = {}});
  const std::size_t head_dim = attention.width / kHeads;
  std::vector<float> last;
  for (std::size_t h = 0; h < kHeads; ++h) {
    const auto at = result.keys.begin() + static_cast<std::ptrdiff_t>((h + 1) * n * head_dim);
    last.insert(last.end(), at - static_cast<std::ptrdiff_t>(kept * head_dim), at);
  }
  expect_close(last, expected, static_cast<std::int64_t>(kept), kBound, "decode.k_cache");
}

TEST(AttentionLayer, ABatchGivesTheBitsOfEachSequenceAlone) {
  RecordedAttention attention(cpu_device(), 16);
  const auto x = attention.recorded("decode.x");
  constexpr std::int64_t kRows = 9;
  const std::size_t size = kRows * attention.width;
  const auto batch = attention.layer->run(3, kRows, std::span(x).first(3 * size),
                                          {.n_rows = 0, .keys = {}, .values = {}});
  for (std::size_t g = 0; g < 3; ++g) {
    const auto alone = attention.layer->run(1, kRows, std::span(x).subspan(g * size, size),
                                            {.n_rows = 0, .keys = {}, .values = {}});
    EXPECT_TRUE(std::equal(alone.y.begin(), alone.y.end(),
                           batch.y.begin() + static_cast<std::ptrdiff_t>(g * size)));
  }
}

TEST(AttentionLayer, RefusesKeysOfAnotherSize) {
  RecordedAttention attention(cpu_device(), 16);
  const auto x = attention.recorded("decode.x");
  EXPECT_THROW(attention.layer->run(1, 1, std::span(x).first(attention.width),
                                    {.n_rows = 2, .keys = {}, .values = {}}),
               Error);
}

}  // namespace
}  // namespace bitaxon::test
