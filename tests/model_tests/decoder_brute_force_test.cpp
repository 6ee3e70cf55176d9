// Compares decoders whose attention has windows, groups of heads and rotated positions with a
// float64 computation of the definition.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>

#include "bitaxon/devices.h"
#include "model_tests/plain_math.h"
#include "support/borrowed_backend.h"
#include "support/small_models.h"
#include "support/tensors.h"

namespace bitaxon::test {
namespace {

constexpr std::size_t kHeadDim = 6, kHeads = 4, kGroup = 2;

/// The first of the two layers attends to every earlier position, the second to a window.
std::string config_of(std::int64_t window) {
  return fmt::format(
      R"({{"model_type": "qwen3", "vocab_size": 40, "hidden_size": 20, "num_hidden_layers": 2,
           "num_attention_heads": {}, "num_key_value_heads": {}, "head_dim": {},
           "intermediate_size": 24, "max_position_embeddings": 512, "tie_word_embeddings": true,
           "use_sliding_window": true, "max_window_layers": 1, "sliding_window": {}}})",
      kHeads, kHeads / kGroup, kHeadDim, window);
}

/// The definition of Qwen3, for activations x:
///   x += W_o attend(rotate(rms(W_q n(x))), rotate(rms(W_k n(x))), W_v n(x))
///   x += W_down (silu(W_gate n(x)) * W_up n(x))
class PlainDecoder {
 public:
  PlainDecoder(const ModelSpec& spec, const CapturedWeights& weights)
      : spec_(spec), weights_(weights) {}

  std::vector<float> logits(std::span<const std::int32_t> ids) const {
    const CapturedWeight& embedding = at("model.embed_tokens.weight");
    const auto width = static_cast<std::size_t>(spec_.d_model);
    Rows x;
    for (const std::int32_t id : ids) {
      const float* row = embedding.values.data() + static_cast<std::size_t>(id) * width;
      x.emplace_back(row, row + width);
    }
    for (std::int64_t i = 0; i < spec_.n_blocks(); ++i) add_block(i, x);
    std::vector<float> all;
    for (const Row& row : x)
      for (const double logit : product(embedding, norm("model.norm.weight", row)))
        all.push_back(static_cast<float>(logit));
    return all;
  }

 private:
  const CapturedWeight& at(const std::string& name) const { return weights_.at(name); }
  Row norm(const std::string& name, const Row& x) const {
    return rms(at(name).values, x, spec_.norm_eps);
  }
  static void add(Row& x, const Row& part) {
    for (std::size_t i = 0; i < x.size(); ++i) x[i] += part[i];
  }

  /// Normalizes each head, then rotates it by its position.
  Row placed(const std::string& name, const Row& heads, std::size_t position) const {
    constexpr std::size_t kHalf = kHeadDim / 2;
    Row out;
    for (auto head = heads.begin(); head != heads.end(); head += kHeadDim) {
      const Row x = norm(name, Row(head, head + kHeadDim));
      Row y(kHeadDim);
      for (std::size_t i = 0; i < kHalf; ++i) {
        const double frequency = std::pow(1e4, -static_cast<double>(i) / kHalf);
        const double angle = static_cast<double>(position) * frequency;
        y[i] = x[i] * std::cos(angle) - x[i + kHalf] * std::sin(angle);
        y[i + kHalf] = x[i + kHalf] * std::cos(angle) + x[i] * std::sin(angle);
      }
      out.insert(out.end(), y.begin(), y.end());
    }
    return out;
  }

  void add_block(std::int64_t block, Rows& x) const {
    const std::string layer = fmt::format("model.layers.{}.", block);
    const std::string mixer = layer + "self_attn.";
    Rows q, k, v;
    for (std::size_t t = 0; t < x.size(); ++t) {
      const Row normed = norm(layer + "input_layernorm.weight", x[t]);
      q.push_back(placed(mixer + "q_norm.weight", product(at(mixer + "q_proj.weight"), normed), t));
      k.push_back(placed(mixer + "k_norm.weight", product(at(mixer + "k_proj.weight"), normed), t));
      v.push_back(product(at(mixer + "v_proj.weight"), normed));
    }
    const auto& attention = std::get<AttentionSpec>(spec_.block(block).mixer);
    const Rows mixed =
        attend(q, k, v, {.head_dim = kHeadDim, .group = kGroup, .window = attention.window});
    for (std::size_t t = 0; t < x.size(); ++t) {
      add(x[t], product(at(mixer + "o_proj.weight"), mixed[t]));
      const Row normed = norm(layer + "post_attention_layernorm.weight", x[t]);
      Row gate = product(at(layer + "mlp.gate_proj.weight"), normed);
      const Row up = product(at(layer + "mlp.up_proj.weight"), normed);
      for (std::size_t i = 0; i < gate.size(); ++i) gate[i] = silu(gate[i]) * up[i];
      add(x[t], product(at(layer + "mlp.down_proj.weight"), gate));
    }
  }

  const ModelSpec& spec_;
  const CapturedWeights& weights_;
};

class DecoderWindows : public testing::TestWithParam<std::int64_t> {};

TEST_P(DecoderWindows, LogitsAgreeWithTheDefinition) {
  std::vector<std::string> warnings;
  const ModelSpec spec = describe_model(config_of(GetParam()), "config.json", warnings);
  ASSERT_FALSE(std::get<AttentionSpec>(spec.block(0).mixer).window);
  ASSERT_EQ(std::get<AttentionSpec>(spec.block(1).mixer).window, GetParam());
  const auto ids = random_ids(static_cast<std::size_t>(5 * GetParam() + 9), spec.vocab_size, 5);
  const auto n_rows = static_cast<std::int64_t>(ids.size());
  for (const char* device : {"reference", "cpu"}) {
    WrappedBackend backend(open_device(device, {.n_threads = 2}).backend);
    Model model = Model::random(borrowed(backend), spec, 7, {.precision = Precision::exact});
    const std::vector<float> expected = PlainDecoder(spec, backend.captured()).logits(ids);
    State whole = model.new_state();
    expect_close(feed_all(model, whole, ids), expected, n_rows, 1e-5,
                 std::string(device) + ", in one piece");
    whole.reset();
    expect_close(feed_pieces(model, whole, ids, random_pieces(ids.size(), 7, 3)), expected, n_rows,
                 1e-5, std::string(device) + ", in pieces");
  }
}

// A page of the KV cache has 64 rows.
INSTANTIATE_TEST_SUITE_P(PastFive, DecoderWindows, testing::Values(1, 7, 63, 64, 65));

}  // namespace
}  // namespace bitaxon::test
