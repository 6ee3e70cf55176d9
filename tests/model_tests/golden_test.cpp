// The recorded cases of the original program: whole prompts, splits, decoding, every layer.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <numeric>

#include "bitaxon/devices.h"
#include "bitaxon/model.h"
#include "support/tensors.h"

namespace bitaxon::test {
namespace {

struct Device {
  const char* selector;
  int n_threads;
  Precision precision;
  double bound;       ///< relative L2 over the whole (DESIGN: correctness)
  double row_factor;  ///< of that bound, for every single row
};
constexpr Device kDevices[] = {
    {"reference", 1, Precision::exact, 1e-5, 4},
    {"cpu", 2, Precision::exact, 5e-5, 4},
    {"cpu", 2, Precision::fast, 1e-2, 3},
};

struct GoldenCase {
  std::string folder;
  Device device;
};

/// Folders of the tree, and those of another folder of recorded cases that the environment names
/// (the larger ones are not kept in the repository).
std::vector<std::filesystem::path> case_folders() {
  std::vector<std::filesystem::path> folders;
  for (const char* name : {"tiny_window", "tiny_long", "tiny_mixed", "tiny_nf4",
                           "tiny_q4_linear_only", "tiny_trained"})
    folders.push_back(golden_dir() / name);
  if (const char* more = std::getenv("BITAXON_GOLDEN_DIR"))
    for (const char* name : {"small_fp32", "small_fp16", "small_q4"})
      folders.push_back(std::filesystem::path(more) / name);
  return folders;
}

std::vector<GoldenCase> cases() {
  std::vector<GoldenCase> all;
  for (const auto& folder : case_folders())
    for (const Device& device : kDevices) all.push_back({folder.string(), device});
  return all;
}

std::string case_name(const testing::TestParamInfo<GoldenCase>& info) {
  return fmt::format("{}_{}_{}", std::filesystem::path(info.param.folder).filename().string(),
                     info.param.device.selector, name_of(info.param.device.precision));
}

class Golden : public testing::TestWithParam<GoldenCase> {
 protected:
  Golden()
      : folder_(GetParam().folder),
        io_(Checkpoint::open(folder_ / "io.safetensors")),
        backend_(open_device(device().selector, device().n_threads).backend),
        model_(load()),
        input_ids_(read_i32(io_, "input_ids")) {}

  const Device& device() const { return GetParam().device; }

  Model load() {
    const auto file = folder_ / "model.safetensors";
    const auto path = std::filesystem::exists(file) ? file : bundled_model_dir();
    LoadOptions options;
    options.precision = device().precision;
    std::vector<std::string> warnings;
    Model model = Model::load(*backend_, model_files(path), options, warnings);
    EXPECT_TRUE(warnings.empty()) << warnings[0];
    return model;
  }

  /// Bound for this model: one without 16-bit or 4-bit tensors is exact whatever was asked for.
  double bound() const {
    return model_.precision() == Precision::exact && device().precision == Precision::fast
               ? 5e-5
               : device().bound;
  }
  double row_factor() const { return bound() == device().bound ? device().row_factor : 4; }

  /// Logits of every id, fed in pieces.
  std::vector<float> logits_in_pieces(std::span<const std::int32_t> ids,
                                      std::span<const std::size_t> pieces) {
    State state = model_.new_state();
    const auto vocab_size = static_cast<std::size_t>(model_.config().vocab_size);
    std::vector<float> logits(ids.size() * vocab_size);
    std::size_t done = 0;
    for (std::size_t piece : pieces) {
      model_.feed(state, ids.subspan(done, piece), {StepOutput::all_logits, false});
      model_.read_logits(std::span(logits).subspan(done * vocab_size, piece * vocab_size));
      done += piece;
    }
    EXPECT_EQ(done, ids.size());
    return logits;
  }

  std::filesystem::path folder_;
  Checkpoint io_;
  std::unique_ptr<Backend> backend_;
  Model model_;
  std::vector<std::int32_t> input_ids_;
};

/// Splits n rows into pieces of at most `piece`, after a first one of `first`.
std::vector<std::size_t> pieces_of(std::size_t n, std::size_t first, std::size_t piece) {
  std::vector<std::size_t> pieces;
  for (std::size_t done = 0; done < n;) {
    pieces.push_back(std::min(n - done, pieces.empty() ? first : piece));
    done += pieces.back();
  }
  return pieces;
}

TEST_P(Golden, PrefillInAnySplit) {
  const auto expected = read_f32(io_, "prefill_logits");
  const std::size_t n = input_ids_.size();
  const std::vector<std::vector<std::size_t>> splits = {
      pieces_of(n, 512, 512), pieces_of(n, 7, 64),
      pieces_of(n, std::min<std::size_t>(n - 2, 512), 1), pieces_of(n, 1, 33)};
  for (const auto& pieces : splits) {
    const auto logits = logits_in_pieces(input_ids_, pieces);
    expect_close(logits, expected, static_cast<std::int64_t>(n), bound(),
                 fmt::format("prefill in {} pieces, the first of {}", pieces.size(), pieces[0]),
                 row_factor());
  }
}

TEST_P(Golden, DecodesWithCarriedState) {
  const auto expected = read_f32(io_, "decode_logits");
  const auto greedy = read_i32(io_, "greedy_ids");
  const auto vocab_size = static_cast<std::size_t>(model_.config().vocab_size);
  State state = model_.new_state();
  std::vector<float> logits(expected.size());
  ASSERT_EQ(logits.size(), greedy.size() * vocab_size);
  model_.feed(state, input_ids_, {StepOutput::last_logits, false});
  for (std::size_t t = 0; t < greedy.size(); ++t) {
    const auto row = std::span(logits).subspan(t * vocab_size, vocab_size);
    model_.read_logits(row);
    EXPECT_EQ(std::max_element(row.begin(), row.end()) - row.begin(), greedy[t]) << "token " << t;
    if (t + 1 < greedy.size())
      model_.feed(state, {&greedy[t], 1}, {StepOutput::last_logits, false});
  }
  expect_close(logits, expected, static_cast<std::int64_t>(greedy.size()), bound(), "decode logits",
               row_factor());
}

TEST_P(Golden, EveryLayer) {
  if (io_.find("layer_outputs") == nullptr) return;  // two cases were recorded without them
  const auto expected = read_f32(io_, "layer_outputs");
  const std::size_t n = std::min<std::size_t>(input_ids_.size(), 512);
  const auto d_model = static_cast<std::size_t>(model_.config().hidden_dim);
  State state = model_.new_state();
  model_.feed(state, std::span(input_ids_).first(n), {StepOutput::none, true});
  for (std::int64_t layer = 0; layer < model_.config().num_layers; ++layer) {
    std::vector<float> rows(n * d_model);
    model_.read_layer(layer, rows);
    const auto offset = static_cast<std::size_t>(layer) * input_ids_.size() * d_model;
    expect_close(rows, std::span(expected).subspan(offset, n * d_model),
                 static_cast<std::int64_t>(n), bound(), fmt::format("layer {}", layer),
                 row_factor());
  }
}

INSTANTIATE_TEST_SUITE_P(Recorded, Golden, testing::ValuesIn(cases()), case_name);

}  // namespace
}  // namespace bitaxon::test
