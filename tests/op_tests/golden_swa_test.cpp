// Compares the attention ops with recorded blocks of the original program.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "bitaxon/ops.h"
#include "op_tests/step_session.h"
#include "support/backends.h"
#include "support/tensors.h"

namespace bitaxon::test {
namespace {

constexpr double kBound = 1e-5;  // bound on the relative L2 error, see tests/golden/README.md

struct Recorded {
  const char* name;
  std::int64_t n_heads;
  std::int64_t window;
};

void PrintTo(const Recorded& recorded, std::ostream* out) { *out << recorded.name; }

class SwaBlock {
 public:
  explicit SwaBlock(const Recorded& recorded)
      : recorded_(recorded),
        file_(
            Checkpoint::open(golden_dir() / "ops" / (std::string(recorded.name) + ".safetensors"))),
        session_(reference_backend(), 1) {
    d_model_ = info_of(file_, "x").shape[1];
    const std::int64_t n_rows = std::max(n_rows_of("x"), n_rows_of("decode.x"));
    keys_ = session_.add_pages(DType::f32, d_model_, n_rows);
    values_ = session_.add_pages(DType::f32, d_model_, n_rows);
  }

  std::vector<float> run(std::span<const float> x) {
    const SessionInput inputs[] = {rows_of(x, d_model_)};
    return session_.run(
        static_cast<std::uint32_t>(x.size() / cols()), inputs, [&](const StepSession::Context& c) {
          const Tensor k = c.state(keys_);
          const Tensor v = c.state(values_);
          const Tensor q = attn_in(
              c.inputs[0],
              {.norm = {}, .q = weight(c, "q"), .k = weight(c, "k"), .v = weight(c, "v")}, 0, k, v);
          return std::vector{linear(attention(q, k, v,
                                              {.n_heads = recorded_.n_heads,
                                               .n_kv_heads = recorded_.n_heads,
                                               .window = recorded_.window}),
                                    weight(c, "o"))};
        })[0];
  }
  /// Feeds the first `first` rows of x in one step, then the other rows in pieces of `piece` rows.
  std::vector<float> run(std::span<const float> x, std::size_t first, std::size_t piece) {
    std::vector<float> y;
    for (std::size_t at = 0; at < x.size();) {
      const std::size_t n = std::min((at == 0 ? first : piece) * cols(), x.size() - at);
      const auto rows = run(x.subspan(at, n));
      y.insert(y.end(), rows.begin(), rows.end());
      at += n;
    }
    return y;
  }

  /// The keys or values of positions [first, last) in their pages. They have the order
  /// of the recording: [H, rows, head_dim].
  std::vector<float> cached(bool of_keys, std::int64_t first, std::int64_t last) {
    const auto rows = session_.read_pages(of_keys ? keys_ : values_);
    const std::int64_t head_dim = d_model_ / recorded_.n_heads;
    std::vector<float> out;
    for (std::int64_t head = 0; head < recorded_.n_heads; ++head)
      for (std::int64_t p = first; p < last; ++p) {
        const auto at = rows.begin() + p * d_model_ + head * head_dim;
        out.insert(out.end(), at, at + head_dim);
      }
    return out;
  }

  std::vector<float> recorded(const std::string& name) const { return read_f32(file_, name); }
  std::int64_t n_rows_of(const std::string& name) const { return info_of(file_, name).shape[0]; }
  std::int64_t n_cached() const { return info_of(file_, "decode.k_cache").shape[1]; }

 private:
  std::size_t cols() const { return static_cast<std::size_t>(d_model_); }
  Tensor weight(const StepSession::Context& c, const char* which) {
    return c.graph.weight(packed_weight(session_.backend(), file_,
                                        fmt::format("w.{}_proj.weight", which),
                                        {1, d_model_, d_model_}));
  }

  Recorded recorded_;
  Checkpoint file_;
  StepSession session_;
  std::int64_t d_model_ = 0;
  std::int32_t keys_ = 0, values_ = 0;
};

class GoldenSwa : public testing::TestWithParam<Recorded> {};

TEST_P(GoldenSwa, CausalAttentionInAnySplitAgreesWithTheRecording) {
  struct Split {
    std::size_t first, piece;
  };
  for (const Split split : {Split{512, 512}, Split{1, 100}, Split{33, 7}}) {
    SwaBlock block(GetParam());
    expect_close(block.run(block.recorded("x"), split.first, split.piece),
                 block.recorded("y_causal"), block.n_rows_of("x"), kBound,
                 fmt::format("y_causal in pieces of {}, {}", split.first, split.piece));
  }
}

TEST_P(GoldenSwa, DecodingAgreesWithTheRecording) {
  SwaBlock block(GetParam());
  const std::int64_t n = block.n_rows_of("decode.x");
  expect_close(block.run(block.recorded("decode.x"), 10, 1), block.recorded("decode.y"), n, kBound,
               "decode.y");
  const std::int64_t first = n - block.n_cached();
  expect_close(block.cached(true, first, n), block.recorded("decode.k_cache"), block.n_cached(),
               kBound, "decode.k_cache");
  expect_close(block.cached(false, first, n), block.recorded("decode.v_cache"), block.n_cached(),
               kBound, "decode.v_cache");
}

INSTANTIATE_TEST_SUITE_P(Recorded, GoldenSwa,
                         testing::Values(Recorded{"swa_window", 4, 16},
                                         Recorded{"swa_short", 4, 64},
                                         Recorded{"swa_chunk512", 2, 24},
                                         Recorded{"swa_chunk512_wide", 2, 4096}),
                         [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace bitaxon::test
