#include "model/lora.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "bitaxon/error.h"
#include "formats/weight_format.h"
#include "platform/printable.h"

namespace bitaxon {
namespace {

constexpr std::string_view kWeight = ".weight";

[[noreturn]] void fail(const Checkpoint& file, const TensorInfo& tensor, std::string_view what) {
  throw Error(ErrorKind::format,
              fmt::format("{}: tensor \"{}\": {}", printable_path(file.file_name(tensor)),
                          printable(tensor.name), what));
}

/// The name of a slot's weight without ".weight", such as "layer_0.ssm.in_proj".
std::string path_of(const WeightSlot& slot) {
  const std::string& name = slot.name();
  return name.ends_with(kWeight) ? name.substr(0, name.size() - kWeight.size()) : std::string();
}

/// Whether adapters may change this weight. They may change every projection except the stacks of
/// experts and the head (docs/model.md).
bool can_be_adapted(WeightId id) {
  switch (id) {
    case WeightId::input_bridge:
    case WeightId::scan_in:
    case WeightId::scan_out:
    case WeightId::query:
    case WeightId::key:
    case WeightId::value:
    case WeightId::attention_out:
    case WeightId::shared_gate:
    case WeightId::shared_up:
    case WeightId::shared_down:
    case WeightId::output_bridge:
      return true;
    default:
      return false;
  }
}

std::vector<float> floats_of(const Checkpoint& file, const TensorInfo& tensor,
                             const Shape& expected) {
  const std::optional<DType> dtype = tensor.dtype.dtype();
  if (!dtype || !is_float(*dtype) || !(tensor.shape == expected))
    fail(file, tensor,
         fmt::format("expected F32, F16 or BF16 {}, got {}", expected.to_string(),
                     describe(tensor)));
  std::vector<std::byte> bytes(static_cast<std::size_t>(tensor.size_bytes));
  file.read(tensor, bytes);
  std::vector<float> values(static_cast<std::size_t>(tensor.shape.elements()));
  decode({.name = tensor.name, .cols = std::ssize(values), .dtype = *dtype}, {.data = bytes}, 0,
         values);
  for (const float value : values)
    if (!std::isfinite(value))
      fail(file, tensor, fmt::format("expected finite numbers, got {}", value));
  return values;
}

/// Reads the tensors of one layer. `path` is the name of the layer in the adapter.
LoraLayer read_layer(const Checkpoint& file, const std::string& path, const WeightSlot& slot) {
  const TensorInfo* a = file.find(path + ".lora_a");
  const TensorInfo* b = file.find(path + ".lora_b");
  const TensorInfo* m = file.find(path + ".m");
  if (a == nullptr || b == nullptr) {
    const TensorInfo& there = a != nullptr ? *a : b != nullptr ? *b : *m;
    fail(file, there,
         fmt::format("expected \"{}.lora_{}\" beside it, got none", printable(path),
                     a == nullptr ? "a" : "b"));
  }
  LoraLayer layer;
  layer.n_out = slot.shape[0];
  layer.n_in = slot.shape[1];
  layer.rank = a->shape.rank() == 2 ? a->shape[1] : 0;
  if (layer.rank < 1)
    fail(file, *a, fmt::format("expected [{}, rank], got {}", layer.n_in, a->shape.to_string()));
  layer.a = floats_of(file, *a, {layer.n_in, layer.rank});
  layer.b = floats_of(file, *b, {layer.rank, layer.n_out});
  if (m != nullptr) layer.m = floats_of(file, *m, {layer.n_out});
  return layer;
}

/// Whether `name` is the name of a tensor of a linear layer, in any format that can be read.
bool is_linear_part(std::string_view name) {
  return name == "weight" || name == "bias" || name == "scales" || name == "biases" ||
         name.starts_with("weight.");
}

/// The linear layer that an adapter's tensor belongs to. `path` is empty if the tensor's name has
/// none of the known forms.
struct Adapted {
  std::string path;
  bool is_frozen = false;  ///< the tensor is a copy of a tensor of the base layer

  /// The path without the name of a wrapper. Upstream's preference training puts this name first.
  std::string path_in_model() const {
    constexpr std::string_view kWrapper = "inner.";
    return path.starts_with(kWrapper) ? path.substr(kWrapper.size()) : path;
  }
};

Adapted adapted_by(std::string_view name) {
  constexpr std::string_view kLinear = ".linear.";
  for (const std::string_view end : {".lora_a", ".lora_b", ".m"})
    if (name.ends_with(end)) return {std::string(name.substr(0, name.size() - end.size()))};
  const std::size_t linear = name.rfind(kLinear);
  if (linear == std::string_view::npos || !is_linear_part(name.substr(linear + kLinear.size())))
    return {};
  return {std::string(name.substr(0, linear)), true};
}

void refuse_other_layouts(const Checkpoint& file) {
  constexpr std::pair<std::string_view, std::string_view> kMarks[] = {
      {".lora_A.", "PEFT"}, {".lora_B.", "PEFT"}, {".lora_down.", "kohya"}, {".lora_up.", "kohya"}};
  for (const TensorInfo& tensor : file.tensors())
    for (const auto& [mark, tool] : kMarks)
      if (tensor.name.find(mark) != std::string::npos)
        throw Error(
            ErrorKind::unsupported,
            fmt::format("{}: tensor \"{}\": an adapter in the layout of {} is not read; "
                        "expected PATH.lora_a [in, rank] and PATH.lora_b [rank, out], as mlx "
                        "writes them",
                        printable_path(file.file_name(tensor)), printable(tensor.name), tool));
}

/// Tensors of an adapter that match no layer of the model.
struct Unmatched {
  const TensorInfo* first = nullptr;
  std::vector<std::string> names;

  void add(const TensorInfo& tensor) {
    if (first == nullptr) first = &tensor;
    names.push_back(fmt::format("\"{}\"", printable(tensor.name)));
  }
};

}  // namespace

Adapter read_adapter(const Checkpoint& file, const std::vector<FoundWeight>& weights,
                     std::vector<std::string>& warnings) {
  refuse_other_layouts(file);
  std::map<std::string, const WeightSlot*> targets;
  for (const FoundWeight& weight : weights)
    if (can_be_adapted(weight.slot.key.id)) targets.emplace(path_of(weight.slot), &weight.slot);
  Unmatched unmatched, ignored;
  Adapter adapter;
  for (const TensorInfo& tensor : file.tensors()) {
    const Adapted adapted = adapted_by(tensor.name);
    const auto target = targets.find(adapted.path_in_model());
    if (target == targets.end()) {
      (adapted.path.empty() && !is_float(tensor.dtype) ? ignored : unmatched).add(tensor);
      continue;
    }
    if (adapted.is_frozen) continue;
    const std::string& weight = target->second->name();
    if (!adapter.layers.contains(weight))
      adapter.layers.emplace(weight, read_layer(file, adapted.path, *target->second));
    adapter.rank = std::max(adapter.rank, adapter.layers.at(weight).rank);
  }
  if (unmatched.first != nullptr)
    throw Error(
        ErrorKind::format,
        fmt::format("{}: expected tensors of linear layers that this model has and that can "
                    "be adapted, got {}",
                    printable_path(file.file_name(*unmatched.first)),
                    fmt::join(unmatched.names, ", ")));
  if (adapter.layers.empty())
    throw Error(ErrorKind::format,
                "adapter: expected tensors PATH.lora_a and PATH.lora_b, got none");
  if (ignored.first != nullptr)
    warnings.push_back(fmt::format("{}: tensors that adapt nothing are ignored: {}",
                                   printable_path(file.file_name(*ignored.first)),
                                   fmt::join(ignored.names, ", ")));
  return adapter;
}

ChangeRows change_of(const LoraLayer& layer, double scale) {
  return [&layer, scale, sums = std::vector<double>()](std::int64_t first_row,
                                                       std::span<float> rows) mutable {
    const auto n_in = static_cast<std::size_t>(layer.n_in);
    const auto rank = static_cast<std::size_t>(layer.rank);
    const auto n_out = static_cast<std::size_t>(layer.n_out);
    sums.resize(n_in);
    for (std::size_t at = 0; at < rows.size(); at += n_in) {
      const std::size_t row = static_cast<std::size_t>(first_row) + at / n_in;
      double squares = 0;
      for (std::size_t i = 0; i < n_in; ++i) {
        double product = 0;
        for (std::size_t r = 0; r < rank; ++r)
          product += double{layer.a[i * rank + r]} * double{layer.b[r * n_out + row]};
        sums[i] = double{rows[at + i]} + scale * product;
        squares += sums[i] * sums[i];
      }
      // A row of zeros has no direction, so it cannot be scaled to a length.
      const double factor =
          layer.m.empty() || squares == 0 ? 1 : double{layer.m[row]} / std::sqrt(squares);
      for (std::size_t i = 0; i < n_in; ++i) rows[at + i] = static_cast<float>(sums[i] * factor);
    }
  };
}

}  // namespace bitaxon
