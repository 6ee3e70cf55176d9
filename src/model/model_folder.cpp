#include "model/model_folder.h"

#include "bitaxon/error.h"
#include "formats/json_file.h"
#include "model/families/config_reader.h"
#include "model/families/mamba.h"
#include "platform/optional_file.h"
#include "platform/printable.h"

namespace bitaxon {

Checkpoint open_checkpoint(const ModelFiles& files) {
  const std::filesystem::path path = files.folder / "config.json";
  Json config;
  try {
    config = read_json_file(path, kConfigLimits);
  } catch (const Error&) {
    // load_spec() reports errors of this file.
  }
  refuse_first_mamba(config, printable_path(path.string()));
  return Checkpoint::open(files.weights);
}

std::vector<std::int32_t> generation_ends(const ModelFiles& files) {
  const std::filesystem::path path = files.folder / "generation_config.json";
  if (!optional_file_exists(path)) return {};
  const Json json = read_json_file(path, kConfigLimits);
  if (!json.is_object()) return {};
  return ConfigReader(json, printable_path(path.string())).ids({"eos_token_id"});
}

}  // namespace bitaxon
