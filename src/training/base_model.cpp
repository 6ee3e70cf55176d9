#include "training/base_model.h"

#include "model/model_folder.h"
#include "model/quantize_weights.h"
#include "model/random_weights.h"
#include "model/rotary.h"
#include "platform/printable.h"

namespace bitaxon {

BaseModel BaseModel::of_files(const ModelFiles& files, const std::string& quantize,
                              std::vector<std::string>& warnings) {
  BaseModel base;
  base.checkpoint = std::make_shared<const Checkpoint>(open_checkpoint(files));
  base.spec = load_spec(files, warnings);
  const std::string name = printable_path(files.weights.string());
  base.found = find_weights(base.spec, *base.checkpoint, name, warnings);
  if (!quantize.empty())
    quantize_found(base.spec, {.format = four_bit_format(quantize)}, name, base.found, warnings);
  base.read = reader_of(*base.checkpoint);
  return base;
}

BaseModel BaseModel::random(const ModelSpec& spec, std::uint64_t seed, const RandomBase& options) {
  BaseModel base;
  base.spec = spec;
  const std::string layout = options.quantize.empty() ? "mlx" : options.quantize;
  RandomForm form;
  if (options.codes)
    form = {.codes = Quantization{.format = four_bit_format(layout)}, .vectors = DType::f16};
  base.found = random_found(spec, form);
  std::vector<std::string> unused;  // random weights are for tests and measurements
  if (!options.codes && !options.quantize.empty())
    quantize_found(spec, {.format = four_bit_format(layout)}, "random", base.found, unused);
  base.read = random_reader(spec, seed);
  return base;
}

std::int64_t BaseModel::n_parameters() const {
  std::int64_t n = 0;
  for (const FoundWeight& weight : found)
    if (!is_tied_head(spec, weight.slot)) n += weight.slot.shape.elements();
  return n;
}

Weights BaseModel::described(const BackendDescription& device, std::int64_t n_positions,
                             std::uint64_t* packed_bytes) const {
  Weights weights;
  std::uint64_t bytes = 0;
  const auto add = [&](const WeightDesc& desc) {
    WeightRef weight = device.describe(desc);
    bytes += weight->packed_bytes;
    return weight;
  };
  for (const FoundWeight& weight : found) weights.set(weight.slot.key, add(weight.loaded()));
  for (const UnitNorm& norm : unit_norms(spec)) weights.set(norm.key, add(norm.desc));
  for (const RotarySpec& rotary : rotary_specs(spec))
    weights.set_rotary(rotary, add(rotary_desc(rotary, n_positions)));
  if (packed_bytes != nullptr) *packed_bytes = bytes;
  return weights;
}

Weights BaseModel::load(Backend& backend, std::int64_t n_positions,
                        const LoadProgress& on_progress) const {
  Weights weights = pack_weights(found, spec, read, backend, on_progress);
  pack_made_weights(spec, n_positions, backend, weights);
  return weights;
}

}  // namespace bitaxon
