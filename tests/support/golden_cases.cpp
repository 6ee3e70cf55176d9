#include "support/golden_cases.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "support/borrowed_backend.h"
#include "support/small_models.h"

namespace bitaxon::test {
namespace {

Model load_case(Backend& backend, const std::filesystem::path& folder, Precision precision) {
  const auto file = folder / "model.safetensors";
  // A folder with an index holds shards.
  const bool is_sharded = std::filesystem::exists(folder / "model.safetensors.index.json");
  const auto path = std::filesystem::exists(file) ? file
                    : is_sharded                  ? folder
                                                  : bundled_model_dir();
  LoadOptions options;
  options.precision = precision;
  std::vector<std::string> warnings;
  Model model = Model::load(borrowed(backend), model_files(path), options, warnings);
  EXPECT_TRUE(warnings.empty()) << warnings[0];
  return model;
}

/// Splits n rows into a first piece of `first` rows and further pieces of `size` rows. The last
/// piece may be smaller.
std::vector<std::size_t> pieces_after(std::size_t first, std::size_t n, std::size_t size) {
  std::vector<std::size_t> pieces = {std::min(n, first)};
  const auto rest = equal_pieces(n - pieces[0], size);
  pieces.insert(pieces.end(), rest.begin(), rest.end());
  return pieces;
}

}  // namespace

std::vector<std::filesystem::path> golden_case_folders() {
  std::vector<std::filesystem::path> folders;
  for (const char* name : {"tiny_window", "tiny_long", "tiny_mixed", "tiny_nf4",
                           "tiny_q4_linear_only", "tiny_trained"})
    folders.push_back(golden_dir() / name);
  if (const char* more = std::getenv("BITAXON_GOLDEN_DIR"))
    for (const char* name : {"small_fp32", "small_fp16", "small_q4"})
      folders.push_back(std::filesystem::path(more) / name);
  return folders;
}

void expect_within(const GoldenBound& bound, const GoldenRows& rows) {
  expect_close(rows.actual, rows.expected, rows.n_rows, bound.whole, rows.what, bound.row_factor);
}

std::vector<std::filesystem::path> family_case_folders() {
  std::vector<std::filesystem::path> folders;
  for (const auto& entry : std::filesystem::directory_iterator(golden_dir() / "families"))
    if (!entry.path().filename().string().starts_with("lora_")) folders.push_back(entry.path());
  std::ranges::sort(folders);
  return folders;
}

GoldenCase::GoldenCase(Backend& backend, const std::filesystem::path& folder, Precision precision)
    : io_(Checkpoint::open(folder / "io.safetensors")),
      model_(load_case(backend, folder, precision)),
      greedy_ids_(read_i32(io_, "greedy_ids")) {
  if (io_.find("input_ids") == nullptr) {
    find_prompts();
    return;
  }
  greedy_prompt_ = read_i32(io_, "input_ids");
  prompts_ = {{"", greedy_prompt_}};
}

void GoldenCase::find_prompts() {
  constexpr std::string_view kIds = "ids";
  logits_name_ = "logits";
  decode_name_ = "greedy_logits";
  greedy_prompt_ = read_i32(io_, "greedy_prompt");
  for (const TensorInfo& tensor : io_.tensors())
    if (tensor.name.starts_with("ids_"))
      prompts_.push_back({tensor.name.substr(kIds.size()), read_i32(io_, tensor.name)});
}

GoldenBound GoldenCase::bound() const {
  if (model_.backend().caps().always_exact) return {1e-5, 4};
  if (model_.precision() == Precision::exact) return {5e-5, 4};
  return {1e-2, 3};
}

std::vector<std::vector<std::size_t>> GoldenCase::splits_of(const GoldenPrompt& prompt) {
  const std::size_t n = prompt.ids.size();
  if (n < 3) return {equal_pieces(n, 512), equal_pieces(n, 1)};
  std::vector<std::vector<std::size_t>> splits = {
      equal_pieces(n, 512), pieces_after(7, n, 64),
      pieces_after(std::min<std::size_t>(n - 2, 512), n, 1), pieces_after(1, n, 33)};
  if (n <= 100) splits.push_back(equal_pieces(n, 1));  // row by row would take long otherwise
  return splits;
}

GoldenRows GoldenCase::prefill(const GoldenPrompt& prompt, std::span<const std::size_t> pieces) {
  State state = model_.new_state();
  return {fmt::format("prefill of {} ids in {} pieces, the first of {}", prompt.ids.size(),
                      pieces.size(), pieces[0]),
          static_cast<std::int64_t>(prompt.ids.size()),
          feed_pieces(model_, state, prompt.ids, pieces),
          read_f32(io_, logits_name_ + prompt.suffix)};
}

GoldenRows GoldenCase::decode() {
  const auto vocab_size = static_cast<std::size_t>(model_.spec().vocab_size);
  GoldenRows rows{"decode logits", static_cast<std::int64_t>(greedy_ids_.size()),
                  std::vector<float>(greedy_ids_.size() * vocab_size), read_f32(io_, decode_name_)};
  State state = model_.new_state();
  std::span<const std::int32_t> ids = greedy_prompt_;
  for (std::size_t t = 0; t < greedy_ids_.size(); ++t) {
    model_.feed(state, ids, StepOutput::last_logits);
    model_.read_logits(std::span(rows.actual).subspan(t * vocab_size, vocab_size));
    ids = std::span(greedy_ids_).subspan(t, 1);
  }
  return rows;
}

void GoldenCase::add_layers(const GoldenPrompt& prompt, std::vector<GoldenRows>& layers) {
  const auto recorded = read_f32(io_, "layer_outputs" + prompt.suffix);
  const std::size_t n = std::min<std::size_t>(prompt.ids.size(), 512);
  const auto d_model = static_cast<std::size_t>(model_.spec().d_model);
  State state = model_.new_state();
  const SegmentInput segment{&state, std::span(prompt.ids).first(n), {}, StepOutput::none};
  model_.submit({&segment, 1}, {.layer_outputs = true});
  for (std::int64_t layer = 0; layer < model_.spec().n_blocks(); ++layer) {
    const auto expected = std::span(recorded).subspan(
        static_cast<std::size_t>(layer) * prompt.ids.size() * d_model, n * d_model);
    GoldenRows& rows = layers.emplace_back();
    rows.what = fmt::format("layer {}", layer);
    rows.n_rows = static_cast<std::int64_t>(n);
    rows.actual.resize(n * d_model);
    model_.read_layer(layer, rows.actual);
    rows.expected.assign(expected.begin(), expected.end());
  }
}

std::vector<GoldenRows> GoldenCase::layers() {
  std::vector<GoldenRows> layers;
  for (const GoldenPrompt& prompt : prompts_)
    if (io_.find("layer_outputs" + prompt.suffix) != nullptr) add_layers(prompt, layers);
  return layers;
}

}  // namespace bitaxon::test
