// Sources: checkpoints written by mlx, AutoGPTQ, AutoAWQ, bitsandbytes, compressed-tensors,
// ModelOpt, HQQ, AQLM, quanto and Marlin.
#include "formats/foreign_format.h"

#include <fmt/format.h>

#include <algorithm>
#include <system_error>
#include <vector>

#include "platform/printable.h"

namespace bitaxon {
namespace {

namespace fs = std::filesystem;

struct Kind {
  std::string_view mark;  ///< the first bytes of such a file, or the end of such a name
  std::string_view name;
};

constexpr Kind kBeginnings[] = {
    {"<", "perhaps an HTML page from a failed download"},
    {"{", "perhaps JSON"},
    {"GGUF", "a GGUF file"},
    {"lmgg", "a GGML file"},
    {"tjgg", "a GGML file"},
    {"PK\x03\x04", "a zip archive, perhaps PyTorch's or NumPy's"},
    {"\x80\x02", "a pickle, perhaps PyTorch's"},
    {"\x80\x04", "a pickle, perhaps PyTorch's"},
    {"\x93NUMPY", "a NumPy array"},
    {"\x89HDF", "an HDF5 file, perhaps TensorFlow's"},
    {"\x1f\x8b", "a gzip archive"},
    {"\x28\xb5\x2f\xfd", "a Zstandard archive"},
};

constexpr Kind kEndings[] = {
    {".gguf", "a GGUF file"},
    {".ggml", "a GGML file"},
    {".bin", "PyTorch's pickle format"},
    {".pt", "PyTorch's pickle format"},
    {".pth", "PyTorch's pickle format"},
    {".ckpt", "PyTorch's pickle format"},
    {".npz", "a NumPy archive"},
    {".h5", "TensorFlow's HDF5 format"},
    {".ckpt.index", "TensorFlow's checkpoint format"},
    {".msgpack", "Flax's format"},
    {".onnx", "an ONNX file"},
    {".mlpackage", "a Core ML package"},
    {".tflite", "a TensorFlow Lite file"},
};

/// A weight of a checkpoint. Finds the tensors that a format may store for the weight.
struct Place {
  const Checkpoint& checkpoint;
  std::string name;    ///< "layer_0.ssm.in_proj.weight"
  std::string stem;    ///< "layer_0.ssm.in_proj"
  const Shape& shape;  ///< logical shape of the weight
  std::int64_t rows = 1, cols = 1;

  const TensorInfo* beside(std::string_view end) const {
    return checkpoint.find(stem + std::string(end));
  }
  const TensorInfo* below(std::string_view end) const {
    return checkpoint.find(name + std::string(end));
  }
};

Place place_of(const Checkpoint& checkpoint, std::string_view name, const Shape& shape) {
  constexpr std::string_view kWeight = ".weight";
  Place place{checkpoint, std::string(name), std::string(name), shape};
  if (name.ends_with(kWeight)) place.stem.resize(name.size() - kWeight.size());
  if (shape.rank() >= 1) place.cols = shape[shape.rank() - 1];
  if (shape.rank() >= 2) place.rows = shape[shape.rank() - 2];
  return place;
}

/// The name of a format with its bits, such as "GPTQ 4-bit". The bits are the size of `codes`
/// divided by the number of elements of the weight.
std::string with_bits(std::string_view format, const TensorInfo& codes, const Place& place) {
  const auto elements = static_cast<std::uint64_t>(place.shape.elements());
  if (elements == 0 || codes.size_bytes * 8 % elements != 0) return std::string(format);
  return fmt::format("{} {}-bit", format, codes.size_bytes * 8 / elements);
}

using Found = std::optional<ForeignFormat>;

/// The format of a weight with a .qweight tensor. GPTQ packs several inputs into each word, and AWQ
/// packs several outputs.
std::string qweight_format(const Place& place, const TensorInfo& codes) {
  const bool is_awq = codes.shape.rank() == 2 && codes.shape[0] == place.cols &&
                      codes.shape[1] < place.rows && place.beside(".g_idx") == nullptr;
  return with_bits(is_awq ? "AWQ" : "GPTQ", codes, place);
}

/// Recognizes formats that do not store their codes under the name of the weight.
Found format_without_weight(const Place& place) {
  if (const TensorInfo* codes = place.beside(".qweight"))
    return ForeignFormat{qweight_format(place, *codes), codes};
  if (const TensorInfo* codes = place.beside(".weight_packed"))
    return ForeignFormat{place.beside(".weight_global_scale") != nullptr
                             ? "NVFP4 of compressed-tensors"
                             : with_bits("compressed-tensors", *codes, place),
                         codes};
  constexpr Kind kBeside[] = {
      {".W_q", "HQQ"},       {"_blocks", "MXFP4"},       {".weight_blocks", "MXFP4"},
      {".q_weight", "EXL2"}, {".trellis", "EXL3"},       {".codebooks", "AQLM"},
      {".B", "Marlin"},      {".weight._data", "quanto"}};
  for (const Kind& kind : kBeside)
    if (const TensorInfo* codes = place.beside(kind.mark))
      return ForeignFormat{std::string(kind.name), codes};
  return std::nullopt;
}

/// The name of a type in PyTorch. The option of bitsandbytes for the storage type takes this name.
std::string_view torch_name(StoredType type) {
  constexpr Kind kNames[] = {
      {"BF16", "bfloat16"}, {"F16", "float16"}, {"F32", "float32"}, {"I8", "int8"}};
  for (const Kind& kind : kNames)
    if (type.name() == kind.mark) return kind.name;
  return type.name();
}

/// The name of a bitsandbytes format of 4-bit codes, which are stored as bytes or as elements of
/// any other type. Empty for the formats that the program reads.
std::string bitsandbytes_format(const Place& place, StoredType type) {
  constexpr Kind kTypes[] = {{".quant_state.bitsandbytes__nf4", "NF4"},
                             {".quant_state.bitsandbytes__fp4", "FP4"}};
  for (const Kind& kind : kTypes) {
    if (place.below(kind.mark) == nullptr) continue;
    if (!(type == DType::u8)) return fmt::format("{} stored as {}", kind.name, torch_name(type));
    return "";
  }
  return "";
}

std::string fp8_format(const Place& place) {
  if (place.beside(".weight_scale_inv") != nullptr) return "FP8 with scales of blocks";
  return place.beside(".weight_scale") != nullptr ? "FP8 with scales" : "FP8";
}

std::string format_with_weight(const Place& place, const TensorInfo& data) {
  const std::string_view type = data.dtype.name();
  const bool has_scales =
      place.beside(".weight_scale") != nullptr || place.beside(".weight_scales") != nullptr;
  if (std::string format = bitsandbytes_format(place, data.dtype); !format.empty()) return format;
  if (type.starts_with("F8_")) return fp8_format(place);
  if (type.starts_with("F4") || type.starts_with("F6_")) return fmt::format("FP{}", type[1]);
  if (type != "I8" && type != "U8") return "";
  if (place.beside(".SCB") != nullptr) return "";
  if (place.beside(".weight_scale_2") != nullptr) return "NVFP4 of ModelOpt";
  return has_scales ? with_bits("integers with scales,", data, place) : "";
}

}  // namespace

std::string_view file_kind(std::string_view head) {
  const std::size_t begin = head.find_first_not_of(" \t\r\n\xef\xbb\xbf");
  if (begin == head.npos) return "";
  head.remove_prefix(begin);
  for (const Kind& kind : kBeginnings)
    if (head.starts_with(kind.mark)) return kind.name;
  return "";
}

std::string foreign_files(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error))
    names.push_back(it->path().filename().string());
  std::sort(names.begin(), names.end());
  for (const std::string& name : names)
    for (const Kind& kind : kEndings)
      if (name.ends_with(kind.mark) && !name.starts_with('.'))
        return fmt::format("{}, {}", printable(name), kind.name);
  return "";
}

std::optional<ForeignFormat> foreign_format(const Checkpoint& checkpoint, std::string_view name,
                                            const Shape& shape) {
  const Place place = place_of(checkpoint, name, shape);
  const TensorInfo* data = checkpoint.find(name);
  if (data == nullptr) return format_without_weight(place);
  if (is_float(data->dtype) && data->shape == shape) return std::nullopt;
  std::string format = format_with_weight(place, *data);
  if (format.empty()) return std::nullopt;
  return ForeignFormat{std::move(format), data};
}

}  // namespace bitaxon
