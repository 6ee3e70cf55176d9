#include "random_model.h"

#include <vector>

#include "bitaxon/error.h"
#include "formats/stored_weight.h"
#include "model/random_weights.h"
#include "platform/file.h"
#include "platform/printable.h"

namespace bitaxon::bench {
namespace {

RandomForm form_of(ModelFormat format) {
  if (format == ModelFormat::f16) return {.vectors = DType::f16};
  return {.codes = Quantization{.format = format == ModelFormat::q4 ? WeightFormat::affine
                                                                    : WeightFormat::codebook},
          .vectors = DType::f16};
}

}  // namespace

std::uint64_t write_random_model(const BitAxonConfig& config, ModelFormat format,
                                 std::uint64_t seed, const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) throw Error(ErrorKind::io, printable_path(folder.string()) + ": " + error.message());
  const std::vector<FoundWeight> found = random_found(config.spec(), form_of(format));
  std::vector<StoredWeight> stored;
  for (const FoundWeight& entry : found) stored.push_back(stored_weight(entry));
  StoredWeightWriter writer(folder / "model.safetensors", stored, {}, {});
  const ReadWeight read = random_reader(config.spec(), seed);
  LoadedWeight staging;
  std::uint64_t total = 0;
  for (std::size_t i = 0; i < found.size(); ++i) {
    const WeightDesc desc = read(found[i], staging);
    writer.write(i, desc, staging.parts);
    total += desc.stored_bytes();
  }
  writer.commit();
  AtomicFile config_file(folder / "config.json");
  config_file.write(config.to_json());
  config_file.commit();
  return total;
}

}  // namespace bitaxon::bench
