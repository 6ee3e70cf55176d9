#include "session/random_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "bitaxon/error.h"
#include "bitaxon/model_spec.h"
#include "bitaxon/tokenizer.h"
#include "formats/json.h"
#include "formats/stored_weight.h"
#include "model/model_writer.h"
#include "model/random_weights.h"
#include "model/weight_pieces.h"
#include "platform/file.h"
#include "platform/printable.h"
#include "tokenizer/truncation.h"

namespace bitaxon {
namespace {

namespace fs = std::filesystem;

/// The folder of a tokenizer, and its file if the user has named one.
struct TokenizerPlace {
  fs::path folder, file;
};

TokenizerPlace place_of(const fs::path& named) {
  std::error_code error;
  if (fs::is_directory(named, error)) return {named, {}};
  return {named.has_parent_path() ? named.parent_path() : fs::path("."), named};
}

Tokenizer load(const TokenizerPlace& place) {
  if (!place.file.empty()) return Tokenizer::load(place.file);
  if (std::optional<Tokenizer> found = Tokenizer::find(place.folder)) return *std::move(found);
  throw Error(ErrorKind::io,
              fmt::format("{}: expected tokenizer.json or tokenizer.model in the folder, found "
                          "neither",
                          printable_path(place.folder.string())));
}

void write_tokenizer(const TokenizerPlace& place, const Tokenizer& tokenizer, const fs::path& to) {
  copy_tokenizer(place.folder, to);
  if (place.file.empty()) return;
  constexpr std::uint64_t kMaxBytes = std::uint64_t{512} << 20;
  const bool is_json = tokenizer.kind() == "bpe";
  // The folder may hold another tokenizer beside the named one.
  fs::remove(to / (is_json ? "tokenizer.model" : "tokenizer.json"));
  write_text_file(to / (is_json ? "tokenizer.json" : "tokenizer.model"),
                  read_whole_file(place.file, kMaxBytes));
}

/// The preset with at least `n_ids` ids.
ModelSpec spec_with(const std::string& preset, std::int64_t n_ids) {
  ModelSpec spec = preset_spec(preset);
  if (spec.vocab_size >= n_ids) return spec;
  Json config = Json::parse(spec.config);
  config["vocab_size"] = n_ids;
  std::vector<std::string> warnings;
  return describe_model(config.dump(), "config.json", warnings);
}

}  // namespace

bool write_random_model(
    const RandomModel& model, const fs::path& output,
    const std::function<void(std::uint64_t done_bytes, std::uint64_t total_bytes)>& on_progress,
    const std::atomic<bool>& interrupted) {
  const TokenizerPlace place = place_of(model.tokenizer);
  std::optional<Tokenizer> tokenizer;
  if (!model.tokenizer.empty()) tokenizer = load(place);
  const ModelSpec spec = spec_with(model.preset, tokenizer ? tokenizer->vocab_size() : 0);

  const std::vector<FoundWeight> weights = random_found(spec);
  std::vector<StoredWeight> stored;
  std::uint64_t total_bytes = 0, done_bytes = 0;
  for (const FoundWeight& weight : weights) {
    stored.push_back(stored_weight(weight));
    total_bytes += stored.back().desc.stored_bytes();
  }
  AtomicFolder folder(output);
  refuse_a_full_disk(folder.temporary(), total_bytes);
  write_text_file(folder.temporary() / "config.json", spec.config);
  if (tokenizer)
    write_tokenizer(place, *tokenizer, folder.temporary());
  else
    write_text_file(folder.temporary() / "tokenizer.json",
                    byte_tokenizer_json(static_cast<std::int32_t>(spec.vocab_size)));

  StoredWeightWriter writer(folder.temporary() / "model.safetensors", stored, {},
                            {{"format", "mlx"}});
  const ReadWeight read = random_reader(spec, model.seed);
  LoadedWeight loaded;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    if (interrupted) return false;
    const WeightDesc desc = read(weights[i], loaded);
    done_bytes += writer.write(i, desc, loaded.parts);
    if (on_progress) on_progress(done_bytes, total_bytes);
  }
  writer.commit();
  folder.commit();
  return true;
}

}  // namespace bitaxon
