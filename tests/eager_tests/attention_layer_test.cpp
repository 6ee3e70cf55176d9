// Tests of the attention layer on arrays.
#include "eager/attention_layer.h"

#include <gtest/gtest.h>

#include "bitaxon/error.h"
#include "op_tests/step_session.h"
#include "support/backends.h"
#include "support/tensors.h"

namespace bitaxon::test {
namespace {

constexpr double kBound = 1e-5;  // bound on the relative L2 error, see tests/golden/README.md
constexpr std::size_t kHeads = 4;

/// Keys or values of one sequence, [H, n, d], that grow at the end of every head.
class Heads {
 public:
  std::span<const float> values() const { return values_; }
  void append(std::span<const float> more) {
    std::vector<float> next;
    const std::size_t old_size = values_.size() / kHeads, new_size = more.size() / kHeads;
    for (std::size_t h = 0; h < kHeads; ++h) {
      const auto old_head = std::span<const float>(values_).subspan(h * old_size, old_size);
      const auto new_head = more.subspan(h * new_size, new_size);
      next.insert(next.end(), old_head.begin(), old_head.end());
      next.insert(next.end(), new_head.begin(), new_head.end());
    }
    values_ = std::move(next);
  }

 private:
  std::vector<float> values_;
};

class RecordedAttention {
 public:
  explicit RecordedAttention(std::int64_t window)
      : file_(Checkpoint::open(golden_dir() / "ops" / "swa_window.safetensors")),
        device_(std::make_shared<EagerDevice>(open_device("cpu", {.n_threads = 1}).backend)) {
    width = static_cast<std::size_t>(info_of(file_, "x").shape[1]);
    const auto weight = [&](const char* which) {
      const auto n = static_cast<std::int64_t>(width);
      return packed_weight(device_->backend(), file_, std::string("w.") + which + "_proj.weight",
                           {1, n, n});
    };
    layer = std::make_unique<AttentionLayer>(
        device_, AttentionWeights{weight("q"), weight("k"), weight("v"), weight("o")},
        AttentionForm{.n_heads = kHeads, .n_kv_heads = kHeads, .window = window});
  }
  std::vector<float> recorded(const std::string& name) const { return read_f32(file_, name); }

  /// Feeds x in pieces of `piece` rows. Keys and values stay with the caller, as in Python.
  std::vector<float> run(std::span<const float> x, std::size_t piece) {
    Heads keys, values;
    std::vector<float> y;
    for (std::size_t at = 0; at < x.size(); at += piece * width) {
      const auto rows = x.subspan(at, std::min(piece * width, x.size() - at));
      const auto result =
          layer->run(1, static_cast<std::int64_t>(rows.size() / width), rows,
                     {.n_rows = static_cast<std::int64_t>(keys.values().size() / width),
                      .keys = keys.values(),
                      .values = values.values()});
      y.insert(y.end(), result.y.begin(), result.y.end());
      keys.append(result.keys);
      values.append(result.values);
    }
    return y;
  }

  std::size_t width = 0;
  std::unique_ptr<AttentionLayer> layer;

 private:
  Checkpoint file_;
  std::shared_ptr<EagerDevice> device_;
};

TEST(AttentionLayer, AgreesWithTheRecordingInAnySplit) {
  for (const std::size_t piece : {std::size_t{512}, std::size_t{100}, std::size_t{7}}) {
    RecordedAttention attention(16);
    const auto x = attention.recorded("x");
    expect_close(attention.run(x, piece), attention.recorded("y_causal"),
                 static_cast<std::int64_t>(x.size() / attention.width), kBound,
                 "in pieces of " + std::to_string(piece));
  }
}

TEST(AttentionLayer, ReturnsKeysAndValuesByHeads) {
  RecordedAttention attention(16);
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
  RecordedAttention attention(16);
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
  RecordedAttention attention(16);
  const auto x = attention.recorded("decode.x");
  EXPECT_THROW(attention.layer->run(1, 1, std::span(x).first(attention.width),
                                    {.n_rows = 2, .keys = {}, .values = {}}),
               Error);
}

}  // namespace
}  // namespace bitaxon::test
