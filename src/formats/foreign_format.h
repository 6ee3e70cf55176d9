// Recognizes formats that the program does not read, so that messages can name them.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "bitaxon/shape.h"
#include "formats/safetensors.h"

namespace bitaxon {

/// The kind of a file that is not a safetensors file, such as "a GGUF file". `head` holds the first
/// bytes of the file. Empty when they match no known kind.
std::string_view file_kind(std::string_view head);

/// Names the first file in `folder` that has a known foreign format, and the format, such as
/// "pytorch_model.bin, PyTorch's pickle format". Empty when there is no such file. This describes
/// folders without *.safetensors.
std::string foreign_files(const std::filesystem::path& folder);

/// The formats that the program reads, for messages about other formats.
inline constexpr std::string_view kFormatsThatRun =
    "F32, F16, BF16, MLX (2 to 8 bits, mxfp4, mxfp8, nvfp4) and bitsandbytes (NF4, FP4, int8) are";

/// A format that the program does not read, and the tensor that identifies the format.
struct ForeignFormat {
  std::string name;  ///< "GPTQ 4-bit"
  const TensorInfo* tensor = nullptr;
};

/// The format in which a checkpoint stores the weight `name` of logical shape `shape`. Recognizes
/// the format by the names, types and shapes of the tensors. Empty for formats that the program
/// reads, and for unknown formats.
std::optional<ForeignFormat> foreign_format(const Checkpoint& checkpoint, std::string_view name,
                                            const Shape& shape);

}  // namespace bitaxon
