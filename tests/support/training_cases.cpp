#include "support/training_cases.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "bitaxon/model_files.h"
#include "formats/json_file.h"
#include "support/source_tree.h"
#include "support/tensors.h"
#include "support/tuners.h"

namespace bitaxon::test {
namespace {

std::filesystem::path own_root() { return golden_dir() / "training"; }

void add_folders(const std::filesystem::path& root, std::vector<std::filesystem::path>& folders) {
  std::vector<std::filesystem::path> found;
  for (const auto& entry : std::filesystem::directory_iterator(root))
    if (std::filesystem::exists(entry.path() / "ref64.safetensors")) found.push_back(entry.path());
  std::ranges::sort(found);
  folders.insert(folders.end(), found.begin(), found.end());
}

}  // namespace

std::vector<std::filesystem::path> training_case_folders() {
  std::vector<std::filesystem::path> folders;
  add_folders(own_root(), folders);
  if (const char* more = std::getenv("BITAXON_TRAINING_CASES")) add_folders(more, folders);
  return folders;
}

TrainingCase::TrainingCase(const std::filesystem::path& folder)
    : folder_(folder), json_(read_json_file(folder / "case.json")) {}

TunerOptions TrainingCase::options(const std::string& form) const {
  TunerOptions options;
  options.adapter.kind =
      json_.at("kind").get<std::string>() == "dora" ? AdapterKind::dora : AdapterKind::lora;
  options.adapter.rank = json_.at("rank").get<std::int64_t>();
  options.adapter.scale = json_.at("scale").get<double>();
  options.adapter.dropout = json_.value("dropout", 0.0);
  options.has_masks = options.adapter.dropout > 0;
  // With masks, all rows must be in one pass.
  options.max_tokens = 64;
  if (options.has_masks)
    options.max_tokens = std::max(options.max_tokens, json_.at("rows").get<std::int64_t>() *
                                                          json_.at("length").get<std::int64_t>());
  if (!is_orpo()) return options;
  options.objective = Objective::orpo;
  options.beta = json_.at("beta").get<double>();
  options.orpo_penalty = form == "inside" ? OrpoPenalty::inside : OrpoPenalty::outside;
  return options;
}

std::unique_ptr<Tuner> TrainingCase::tuner(std::shared_ptr<Backend> backend,
                                           const TunerOptions& options) const {
  std::vector<std::string> warnings;
  const auto model = folder_.parent_path() / json_.at("model").get<std::string>();
  auto tuner = std::make_unique<Tuner>(BaseModel::of_files(model_files(model), "", warnings),
                                       std::move(backend), options);
  tuner->write(ParameterVector::value, read_parameters(*tuner, folder_ / "adapters.safetensors"));
  if (options.has_masks) tuner->write_masks(masks(*tuner));
  return tuner;
}

std::vector<float> read_parameters(const Tuner& tuner, const std::filesystem::path& file,
                                   const std::string& prefix) {
  const Checkpoint checkpoint = Checkpoint::open(file);
  std::vector<float> values;
  for (const ParameterRange& range : tuner.parameters()) {
    const std::vector<float> tensor = read_f32(checkpoint, prefix + range.name);
    EXPECT_EQ(std::ssize(tensor), range.shape.elements()) << range.name;
    values.insert(values.end(), tensor.begin(), tensor.end());
  }
  return values;
}

std::vector<TrainSequence> TrainingCase::rows(const std::string& prefix,
                                              const std::vector<std::int64_t>& lengths) const {
  const Checkpoint io = Checkpoint::open(folder_ / "io.safetensors");
  const std::vector<std::int32_t> ids = read_i32(io, prefix + "ids");
  const std::vector<std::int32_t> labels = read_i32(io, prefix + "labels");
  const std::size_t stride = ids.size() / lengths.size();
  std::vector<TrainSequence> sequences;
  for (std::size_t r = 0; r < lengths.size(); ++r) {
    const auto cut = [&](const std::vector<std::int32_t>& values) {
      const auto begin = values.begin() + static_cast<std::ptrdiff_t>(r * stride);
      return std::vector<std::int32_t>(begin, begin + lengths[r]);
    };
    sequences.push_back({.ids = cut(ids), .labels = cut(labels)});
  }
  return sequences;
}

std::vector<float> TrainingCase::masks(const Tuner& tuner) const {
  const Checkpoint io = Checkpoint::open(folder_ / "io.safetensors");
  constexpr std::string_view kEnd = ".lora_a";
  const std::int64_t stride = json_.at("length").get<std::int64_t>();
  std::vector<float> all;
  std::int64_t b = 0;
  for (const auto length : json_.at("lengths").get<std::vector<std::int64_t>>()) {
    for (std::int64_t row = b * stride; row < b * stride + length; ++row)
      for (const ParameterRange& range : tuner.parameters()) {
        if (!range.name.ends_with(kEnd)) continue;
        const std::string layer = range.name.substr(0, range.name.size() - kEnd.size());
        const std::vector<std::int32_t> mask = read_i32(io, "mask." + layer);
        const std::int64_t n_in = range.shape[0];
        const auto begin = mask.begin() + row * n_in;
        all.insert(all.end(), begin, begin + n_in);
      }
    ++b;
  }
  return all;
}

std::vector<TrainSequence> TrainingCase::sequences() const {
  if (!is_orpo()) return rows("", json_.at("lengths").get<std::vector<std::int64_t>>());
  std::vector<std::int64_t> chosen_lengths, rejected_lengths;
  for (const Json& pair : json_.at("pairs_prompt_chosen_rejected")) {
    const auto n = pair.get<std::vector<std::int64_t>>();
    chosen_lengths.push_back(n[0] + n[1]);
    rejected_lengths.push_back(n[0] + n[2]);
  }
  const auto chosen = rows("chosen_", chosen_lengths);
  const auto rejected = rows("rejected_", rejected_lengths);
  std::vector<TrainSequence> sequences;
  for (std::size_t i = 0; i < chosen.size(); ++i) {
    sequences.push_back(chosen[i]);
    sequences.push_back(rejected[i]);
  }
  return sequences;
}

std::vector<float> TrainingCase::recorded(const std::string& name) const {
  return read_f32(Checkpoint::open(folder_ / "io.safetensors"), name);
}

std::vector<float> TrainingCase::gradients(const Tuner& tuner, const std::string& file,
                                           const std::string& prefix) const {
  return read_parameters(tuner, folder_ / file, prefix + "grad.");
}

void expect_case(const TrainingCase& recorded, std::shared_ptr<Backend> backend,
                 const TrainingBounds& bounds, Precision precision) {
  const std::vector<std::string> forms = recorded.is_orpo()
                                             ? std::vector<std::string>{"inside", "outside"}
                                             : std::vector<std::string>{""};
  for (const std::string& form : forms) {
    const std::string prefix = form.empty() ? "" : form + ".";
    SCOPED_TRACE(recorded.name() + " " + form);
    TunerOptions options = recorded.options(form);
    options.precision = precision;
    const auto tuner = recorded.tuner(backend, options);
    const UpdateResult result = tuner->update(recorded.sequences(), no_change());
    EXPECT_TRUE(result.applied);
    const double loss = recorded.recorded(prefix + "loss")[0];
    EXPECT_NEAR(result.loss, loss, bounds.loss * std::abs(loss));
    const std::vector<float> found = tuner->read(ParameterVector::gradient);
    {
      SCOPED_TRACE("against float64");
      expect_gradients(*tuner, found, recorded.gradients(*tuner, "ref64.safetensors", prefix),
                       bounds.gradient);
    }
    SCOPED_TRACE("against the recorded numbers");
    expect_gradients(*tuner, found, recorded.gradients(*tuner, "io.safetensors", prefix),
                     bounds.recorded_gradient);
  }
}

}  // namespace bitaxon::test
