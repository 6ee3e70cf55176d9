#include <fmt/format.h>

#include <algorithm>

#include "formats/json.h"
#include "formats/safetensors.h"
#include "platform/file.h"
#include "training/run/checkpoint_files.h"

namespace bitaxon {
namespace {

namespace fs = std::filesystem;

template <class T>
std::span<const std::byte> bytes_of(const T& value) {
  return std::as_bytes(std::span(&value, 1));
}

void call(const BetweenWrites& between_writes) {
  if (between_writes) between_writes();
}

/// The part of a flat vector that belongs to one tensor.
std::span<const float> part_of(std::span<const float> flat, const ParameterRange& range) {
  return flat.subspan(static_cast<std::size_t>(range.first),
                      static_cast<std::size_t>(range.shape.elements()));
}

/// The configuration of an adapter as mlx-lm spells it.
std::string config_text(const AdapterMetadata& adapter) {
  const Json json = {
      {"fine_tune_type", name_of(adapter.kind)},
      {"num_layers", adapter.last_blocks.value_or(-1)},
      {"lora_parameters",
       {{"rank", adapter.rank}, {"dropout", adapter.dropout}, {"scale", adapter.scale}}}};
  return json.dump(2) + "\n";
}

void write_optimizer(const fs::path& path, const TrainingTarget& target, double learning_rate,
                     const BetweenWrites& between_writes) {
  std::vector<SafetensorsSpec> specs = {{"step", StoredType::named("U64").value(), StoredShape()},
                                        {"learning_rate", DType::f32, StoredShape()}};
  for (const ParameterRange& range : target.parameters)
    for (const char* end : {".m", ".v"})
      specs.push_back({range.name + end, DType::f32, range.shape});
  SafetensorsWriter writer(path, std::move(specs), {{"format", "mlx"}});
  const auto step = static_cast<std::uint64_t>(target.n_updates());
  writer.write(bytes_of(step));
  writer.write(bytes_of(static_cast<float>(learning_rate)));
  const std::vector<float> first = target.read(ParameterVector::first_moment);
  const std::vector<float> second = target.read(ParameterVector::second_moment);
  for (const ParameterRange& range : target.parameters) {
    call(between_writes);
    writer.write(std::as_bytes(part_of(first, range)));
    writer.write(std::as_bytes(part_of(second, range)));
  }
  writer.commit();
}

}  // namespace

void write_adapter(const fs::path& file, const TrainingTarget& target,
                   const AdapterMetadata& adapter, const BetweenWrites& between_writes) {
  std::vector<SafetensorsSpec> specs;
  for (const ParameterRange& range : target.parameters)
    specs.push_back({range.name, DType::f32, range.shape});
  SafetensorsWriter writer(file, std::move(specs), metadata_of(adapter));
  const std::vector<float> values = target.read(ParameterVector::value);
  for (const ParameterRange& range : target.parameters) {
    call(between_writes);
    writer.write(std::as_bytes(part_of(values, range)));
  }
  writer.commit();
  call(between_writes);
  write_text_file(file.parent_path() / kAdapterConfigFile, config_text(adapter));
}

void write_tensors(const fs::path& folder, const TrainingTarget& target,
                   const AdapterMetadata& adapter, double learning_rate,
                   const BetweenWrites& between_writes) {
  write_adapter(folder / kAdapterFile, target, adapter, between_writes);
  call(between_writes);
  write_optimizer(folder / kOptimizerFile, target, learning_rate, between_writes);
}

void write_checkpoint(const fs::path& folder, const TrainingTarget& target,
                      const AdapterMetadata& adapter, const RunState& state,
                      const BetweenWrites& between_writes) {
  write_tensors(folder, target, adapter, state.learning_rate, between_writes);
  call(between_writes);
  write_text_file(folder / kStateFile, text_of(state));
}

}  // namespace bitaxon
