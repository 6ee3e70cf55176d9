// Recognises formats that are not read, so that messages can name them.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "bitaxon/shape.h"
#include "formats/safetensors.h"

namespace bitaxon {

/// What a file is that is not a safetensors file, judged by its first bytes: "a GGUF file". Empty
/// when they say nothing.
std::string_view file_kind(std::string_view head);

/// What a folder without *.safetensors holds in their place: "pytorch_model.bin, PyTorch's pickle
/// format". Empty when there is no file of a known format.
std::string foreign_files(const std::filesystem::path& folder);

/// A format that is not read, and the tensor that shows it.
struct ForeignFormat {
  std::string name;  ///< "GPTQ 4-bit"
  const TensorInfo* tensor = nullptr;
};

/// The format that weight `name` of logical shape `shape` is stored in, judged by the names, types
/// and shapes of its tensors. Empty for formats that are read, and for what looks like none.
std::optional<ForeignFormat> foreign_format(const Checkpoint& checkpoint, std::string_view name,
                                            const Shape& shape);

}  // namespace bitaxon
