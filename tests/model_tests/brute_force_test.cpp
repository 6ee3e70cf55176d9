// Compares models of unusual shapes with a float64 computation of the definition.
#include "model_tests/brute_force.h"

#include <gtest/gtest.h>

#include <functional>

#include "bitaxon/devices.h"
#include "support/borrowed_backend.h"
#include "support/small_models.h"
#include "support/tensors.h"

namespace bitaxon::test {
namespace {

struct ShapeCase {
  const char* name;
  std::function<void(BitAxonConfig&)> change;
  std::size_t n_ids = 30;
};

void PrintTo(const ShapeCase& shape, std::ostream* out) { *out << shape.name; }

const ShapeCase kShapes[] = {
    {"five_windows", [](BitAxonConfig&) {}, 85},
    {"window_1", [](BitAxonConfig& c) { c.swa_window_size = 1; }},
    {"window_2", [](BitAxonConfig& c) { c.swa_window_size = 2; }},
    // A page of the KV cache has 64 rows.
    {"five_windows_of_63", [](BitAxonConfig& c) { c.swa_window_size = 63; }, 320},
    {"five_windows_of_64", [](BitAxonConfig& c) { c.swa_window_size = 64; }, 320},
    {"five_windows_of_65", [](BitAxonConfig& c) { c.swa_window_size = 65; }, 330},
    {"window_larger_than_sequence", [](BitAxonConfig& c) { c.swa_window_size = 1000; }},
    {"window_larger_than_context",
     [](BitAxonConfig& c) {
       c.swa_window_size = 5000;
       c.max_seq_len = 30;
     }},
    {"no_shared_expert", [](BitAxonConfig& c) { c.moe_shared_expert = false; }},
    {"no_convolution", [](BitAxonConfig& c) { c.ssm_d_conv = 1; }},
    {"long_convolution", [](BitAxonConfig& c) { c.ssm_d_conv = 9; }},
    {"one_state", [](BitAxonConfig& c) { c.ssm_d_state = 1; }},
    {"expand_1", [](BitAxonConfig& c) { c.ssm_expand = 1; }},
    {"expand_3", [](BitAxonConfig& c) { c.ssm_expand = 3; }},
    {"odd_head_dim", [](BitAxonConfig& c) { c.num_heads = 8; }},
    {"head_dim_1", [](BitAxonConfig& c) { c.num_heads = 24; }},
    {"one_head_of_odd_width",
     [](BitAxonConfig& c) {
       c.hidden_dim = 23;
       c.num_heads = 1;
     }},
    {"one_layer", [](BitAxonConfig& c) { c.num_layers = 1; }},
    {"two_layers", [](BitAxonConfig& c) { c.num_layers = 2; }},
    {"five_layers", [](BitAxonConfig& c) { c.num_layers = 5; }},
    {"top_1", [](BitAxonConfig& c) { c.moe_top_k = 1; }},
    {"top_all", [](BitAxonConfig& c) { c.moe_top_k = c.moe_num_experts; }},
    {"one_expert",
     [](BitAxonConfig& c) {
       c.moe_num_experts = 1;
       c.moe_top_k = 1;
     }},
    {"tied", [](BitAxonConfig& c) { c.weight_tying = true; }},
    {"large_eps", [](BitAxonConfig& c) { c.rms_norm_eps = 0.5; }},
    {"tiny",
     [](BitAxonConfig& c) {
       c.vocab_size = c.d_source_model = c.moe_intermediate_dim = 1;
       c.hidden_dim = c.num_heads = 1;
     }},
};

class LengthyBruteForceShapes : public testing::TestWithParam<ShapeCase> {};

TEST_P(LengthyBruteForceShapes, LogitsAgreeWithTheDefinition) {
  BitAxonConfig config = small_config();
  GetParam().change(config);
  LoadOptions options;
  options.precision = Precision::exact;
  const auto ids = random_ids(GetParam().n_ids, config.vocab_size, 5);
  const auto n_rows = static_cast<std::int64_t>(ids.size());
  for (const char* device : {"reference", "cpu"}) {
    WrappedBackend backend(open_device(device, {.n_threads = 2}).backend);
    Model model = Model::random(borrowed(backend), config.spec(), 7, options);
    const BruteForceResult expected = brute_force(config, backend.captured(), ids);
    // If this check fails, the test needs another seed.
    ASSERT_GT(expected.min_router_margin, 1e-6);
    State whole = model.new_state();
    expect_close(feed_all(model, whole, ids), expected.logits, n_rows, 1e-5,
                 std::string(device) + ", in one piece");
    whole.reset();
    expect_close(feed_pieces(model, whole, ids, random_pieces(ids.size(), 7, 3)), expected.logits,
                 n_rows, 1e-5, std::string(device) + ", in pieces");
  }
}

INSTANTIATE_TEST_SUITE_P(Odd, LengthyBruteForceShapes, testing::ValuesIn(kShapes),
                         [](const auto& one) { return std::string(one.param.name); });

/// Computes the definition with the decoded weights of quantized and 16-bit checkpoints. The
/// recorded outputs thus also check brute_force() itself.
TEST(BruteForce, AgreesWithRecordedCheckpoints) {
  for (const char* folder :
       {"tiny_window", "tiny_mixed", "tiny_nf4", "tiny_q4_linear_only", "tiny_long"}) {
    WrappedBackend backend(open_device("reference").backend);
    std::vector<std::string> warnings;
    const auto path = golden_dir() / folder;
    const Model model =
        Model::load(borrowed(backend), model_files(path / "model.safetensors"), {}, warnings);
    const Checkpoint io = Checkpoint::open(path / "io.safetensors");
    std::vector<std::int32_t> ids = read_i32(io, "input_ids");
    ids.resize(std::min<std::size_t>(ids.size(), 90));
    auto expected = read_f32(io, "prefill_logits");
    expected.resize(ids.size() * static_cast<std::size_t>(model.spec().vocab_size));
    expect_close(brute_force(read_config(path), backend.captured(), ids).logits, expected,
                 static_cast<std::int64_t>(ids.size()), 1e-5, folder);
  }
}

}  // namespace
}  // namespace bitaxon::test
