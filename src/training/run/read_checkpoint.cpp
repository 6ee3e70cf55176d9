#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "bitaxon/error.h"
#include "formats/safetensors.h"
#include "model/adapter_layout.h"
#include "platform/file.h"
#include "platform/printable.h"
#include "training/run/checkpoint_files.h"

namespace bitaxon {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kMaxStateBytes = std::uint64_t{4} << 20;

[[noreturn]] void fail(const fs::path& file, std::string_view what) {
  throw Error(ErrorKind::format, fmt::format("{}: {}", printable_path(file.string()), what));
}

/// The name of a tensor without the beginning that upstream's preference training adds.
std::string own_name(std::string_view name) {
  constexpr std::string_view kWrapper = "inner.";
  if (name.starts_with(kWrapper)) name.remove_prefix(kWrapper.size());
  return std::string(name);
}

template <class T>
T scalar_of(const Checkpoint& file, const fs::path& path, std::string_view name,
            std::string_view type) {
  const TensorInfo* tensor = file.find(name);
  if (tensor == nullptr) fail(path, fmt::format("expected a tensor \"{}\", found none", name));
  // Other programs write a scalar as one element.
  const bool is_one = tensor->size_bytes == sizeof(T) && tensor->shape.rank() <= 1;
  if (tensor->dtype.name() != type || !is_one)
    fail(path, fmt::format("tensor \"{}\": expected {} [], got {}", name, type, describe(*tensor)));
  T value{};
  file.read(*tensor, std::as_writable_bytes(std::span(&value, 1)));
  return value;
}

std::vector<float> floats_of(const Checkpoint& file, const fs::path& path,
                             const TensorInfo& tensor) {
  if (tensor.dtype != StoredType(DType::f32) || tensor.shape.rank() < 1 || tensor.shape.rank() > 2)
    fail(path, fmt::format("tensor \"{}\": expected F32 of one or two extents, got {}",
                           printable(tensor.name), describe(tensor)));
  std::vector<float> values(static_cast<std::size_t>(tensor.size_bytes / sizeof(float)));
  file.read(tensor, std::as_writable_bytes(std::span(values)));
  for (std::size_t i = 0; i < values.size(); ++i)
    if (!std::isfinite(values[i]))
      fail(path, fmt::format("tensor \"{}\": expected finite numbers, got {} at element {}",
                             printable(tensor.name), values[i], i));
  return values;
}

/// Reads one of the moments of a tensor.
std::vector<float> moments_of(const Checkpoint& file, const fs::path& path, const TrainedTensor& of,
                              const std::string& name) {
  const TensorInfo* tensor = file.find(name);
  if (tensor == nullptr) tensor = file.find("inner." + name);
  if (tensor == nullptr)
    fail(path, fmt::format("expected a tensor \"{}\", found none", printable(name)));
  if (!(tensor->shape == StoredShape(of.shape)))
    fail(path, fmt::format("tensor \"{}\": expected F32 {}, got {}", printable(name),
                           of.shape.to_string(), describe(*tensor)));
  return floats_of(file, path, *tensor);
}

Checkpoint open_one(const fs::path& path) {
  // A folder of this name would be opened as a model.
  if (fs::is_directory(path)) fail(path, "expected a file, got a folder");
  return Checkpoint::open(path);
}

}  // namespace

TrainCheckpoint read_adapter_tensors(const fs::path& path) {
  const Checkpoint file = open_one(path);
  TrainCheckpoint checkpoint;
  checkpoint.adapter = read_adapter_metadata(file.metadata(), printable_path(path.string()));
  for (const TensorInfo& tensor : file.tensors()) {
    if (layer_adapted_by(tensor.name, AdapterLayout::mlx).path.empty())
      fail(path, fmt::format("tensor \"{}\": expected PATH.lora_a, PATH.lora_b or PATH.m",
                             printable(tensor.name)));
    std::vector<float> values = floats_of(file, path, tensor);
    const auto added = checkpoint.tensors.emplace(
        own_name(tensor.name), TrainedTensor{Shape(tensor.shape), std::move(values), {}, {}});
    if (!added.second)
      fail(path, fmt::format("tensor \"{}\": expected it once, found it also with \"inner.\"",
                             printable(tensor.name)));
  }
  if (checkpoint.tensors.empty())
    fail(path, "expected tensors PATH.lora_a and PATH.lora_b, found none");
  return checkpoint;
}

void read_optimizer(const fs::path& path, TrainCheckpoint& checkpoint) {
  const Checkpoint file = open_one(path);
  for (auto& [name, tensor] : checkpoint.tensors) {
    tensor.first_moments = moments_of(file, path, tensor, name + ".m");
    tensor.second_moments = moments_of(file, path, tensor, name + ".v");
    const auto negative =
        std::ranges::find_if(tensor.second_moments, [](float v) { return v < 0; });
    if (negative != tensor.second_moments.end())
      fail(path, fmt::format("tensor \"{}.v\": expected numbers >= 0, got {}", printable(name),
                             *negative));
  }
  if (file.tensors().size() != 2 * checkpoint.tensors.size() + 2)
    fail(path, fmt::format("expected {} tensors, for the tensors of {}, got {}",
                           2 * checkpoint.tensors.size() + 2, kAdapterFile, file.tensors().size()));
  const auto step = scalar_of<std::uint64_t>(file, path, "step", "U64");
  if (step > std::uint64_t{1} << 48)
    fail(path, fmt::format("tensor \"step\": expected a number of updates, got {}", step));
  const auto rate = scalar_of<float>(file, path, "learning_rate", "F32");
  if (!std::isfinite(rate))
    fail(path, fmt::format("tensor \"learning_rate\": expected a finite number, got {}", rate));
  checkpoint.state.step = static_cast<std::int64_t>(step);
  checkpoint.state.learning_rate = double{rate};
}

TrainCheckpoint read_checkpoint(const fs::path& folder) {
  TrainCheckpoint checkpoint = read_adapter_tensors(folder / kAdapterFile);
  read_optimizer(folder / kOptimizerFile, checkpoint);
  const fs::path path = folder / kStateFile;
  RunState state = parse_run_state(read_whole_file(path, kMaxStateBytes),
                                   printable_path(path.string()), &checkpoint.is_upstreams);
  const std::int64_t step = checkpoint.state.step;
  state.learning_rate = checkpoint.state.learning_rate;
  if (checkpoint.is_upstreams) state.step = step;  // its file counts micro-batches
  if (state.step != step)
    fail(path, fmt::format("step: expected {}, the step of {}, got {}", step, kOptimizerFile,
                           state.step));
  if (checkpoint.adapter && checkpoint.adapter->step != step)
    fail(folder / kAdapterFile,
         fmt::format("metadata \"step\": expected {}, the step of {}, got {}", step, kOptimizerFile,
                     checkpoint.adapter->step));
  checkpoint.state = std::move(state);
  return checkpoint;
}

void restore(const TrainCheckpoint& checkpoint, std::string_view name,
             const TrainingTarget& target) {
  std::size_t n_elements = 0;
  for (const ParameterRange& range : target.parameters) {
    const auto found = checkpoint.tensors.find(range.name);
    const bool is_there = found != checkpoint.tensors.end();
    if (!is_there || !(found->second.shape == range.shape))
      throw Error(ErrorKind::format,
                  fmt::format("{}: tensor \"{}\": expected {}, which these settings and this model "
                              "need, got {}",
                              name, range.name, range.shape.to_string(),
                              is_there ? found->second.shape.to_string() : "none"));
    n_elements =
        std::max(n_elements, static_cast<std::size_t>(range.first + range.shape.elements()));
  }
  for (const auto& [tensor, value] : checkpoint.tensors)
    if (std::ranges::none_of(target.parameters, [&wanted = tensor](const ParameterRange& range) {
          return range.name == wanted;
        }))
      throw Error(ErrorKind::format,
                  fmt::format("{}: tensor \"{}\": expected no such tensor with these settings and "
                              "this model",
                              name, printable(tensor)));
  const auto give = [&](ParameterVector vector, std::vector<float> TrainedTensor::*member) {
    std::vector<float> flat(n_elements);
    for (const ParameterRange& range : target.parameters) {
      const std::vector<float>& part = checkpoint.tensors.at(range.name).*member;
      if (part.empty()) return;
      std::ranges::copy(part, flat.begin() + range.first);
    }
    target.write(vector, flat);
  };
  give(ParameterVector::value, &TrainedTensor::values);
  give(ParameterVector::first_moment, &TrainedTensor::first_moments);
  give(ParameterVector::second_moment, &TrainedTensor::second_moments);
  target.set_n_updates(checkpoint.state.step);
}

}  // namespace bitaxon
