#include "model/adapter_layout.h"

#include <fmt/format.h>

#include <vector>

#include "bitaxon/error.h"
#include "platform/printable.h"

namespace bitaxon {
namespace {

/// What the tensors of a layout are called.
struct Names {
  std::vector<std::string_view> ends;    ///< of the tensors of an adapted layer
  std::vector<std::string_view> frozen;  ///< in front of the name of a tensor of the base
  /// The beginning of names that is not part of the layer's name in the model. mlx's names begin so
  /// in a checkpoint of upstream's preference training.
  std::string_view wrapper;
};

const Names& names_of(AdapterLayout layout) {
  static const Names mlx = {{".lora_a", ".lora_b", ".m"}, {".linear.", ".embedding."}, "inner."};
  static const Names peft = {
      {".lora_A.weight", ".lora_B.weight", ".lora_embedding_A", ".lora_embedding_B",
       ".lora_magnitude_vector", ".lora_magnitude_vector.weight"},
      {".base_layer."},
      "base_model.model."};
  return layout == AdapterLayout::mlx ? mlx : peft;
}

/// Whether `name` is the name of a tensor of a linear layer, in any format that can be read.
bool is_linear_part(std::string_view name) {
  return name == "weight" || name == "bias" || name == "scales" || name == "biases" ||
         name.starts_with("weight.");
}

[[noreturn]] void fail(ErrorKind kind, const Checkpoint& file, const TensorInfo& tensor,
                       std::string_view what) {
  throw Error(kind, fmt::format("{}: tensor \"{}\": {}", printable_path(file.file_name(tensor)),
                                printable(tensor.name), what));
}

}  // namespace

AdapterLayout layout_of_adapter(const Checkpoint& file) {
  const TensorInfo* mlx = nullptr;
  const TensorInfo* peft = nullptr;
  for (const TensorInfo& tensor : file.tensors()) {
    const auto has = [&](std::string_view mark) {
      return tensor.name.find(mark) != std::string::npos;
    };
    if (has(".lora_down.") || has(".lora_up."))
      fail(ErrorKind::unsupported, file, tensor,
           "an adapter in the layout of kohya is not read; expected PATH.lora_a and PATH.lora_b, "
           "as mlx writes them, or PATH.lora_A.weight and PATH.lora_B.weight, as PEFT writes them");
    if (has(".lora_A.") || has(".lora_B.") || has(".lora_embedding_")) peft = &tensor;
    if (tensor.name.ends_with(".lora_a") || tensor.name.ends_with(".lora_b")) mlx = &tensor;
  }
  if (mlx != nullptr && peft != nullptr)
    fail(ErrorKind::format, file, *peft,
         fmt::format("expected an adapter of mlx or of PEFT, got names of both, such as \"{}\"",
                     printable(mlx->name)));
  return peft != nullptr ? AdapterLayout::peft : AdapterLayout::mlx;
}

AdaptedLayer layer_adapted_by(std::string_view tensor, AdapterLayout layout) {
  const Names& names = names_of(layout);
  const auto layer = [&](std::string_view path, bool is_frozen) {
    const bool is_wrapped = path.starts_with(names.wrapper);
    return AdaptedLayer{std::string(path),
                        std::string(path.substr(is_wrapped ? names.wrapper.size() : 0)), is_frozen};
  };
  for (const std::string_view end : names.ends)
    if (tensor.ends_with(end)) return layer(tensor.substr(0, tensor.size() - end.size()), false);
  for (const std::string_view frozen : names.frozen) {
    const std::size_t at = tensor.rfind(frozen);
    if (at != std::string_view::npos && is_linear_part(tensor.substr(at + frozen.size())))
      return layer(tensor.substr(0, at), true);
  }
  return {};
}

const AdapterForm& form_of(AdapterLayout layout, AdaptedKind kind) {
  // mlx-lm does not train DoRA on a stack. The magnitudes of PEFT's embeddings scale columns.
  static constexpr AdapterForm kMlxMatrix = {{".lora_a", false}, {".lora_b", true}, ".m"};
  static constexpr AdapterForm kMlxStack = {{".lora_a", true}, {".lora_b", false}, ".m", false};
  static constexpr AdapterForm kMlxEmbedding = {{".lora_b", true}, {".lora_a", false}, ".m"};
  static constexpr AdapterForm kPeftMatrix = {
      {".lora_A.weight", true}, {".lora_B.weight", false}, ".lora_magnitude_vector"};
  static constexpr AdapterForm kPeftEmbedding = {
      {".lora_embedding_B", false}, {".lora_embedding_A", true}, ".lora_magnitude_vector", false};
  if (layout == AdapterLayout::peft)
    return kind == AdaptedKind::embedding ? kPeftEmbedding : kPeftMatrix;
  if (kind == AdaptedKind::embedding) return kMlxEmbedding;
  return kind == AdaptedKind::stack ? kMlxStack : kMlxMatrix;
}

}  // namespace bitaxon
