#include "model/base_hash.h"

#include <fmt/format.h>
#include <xxhash.h>

namespace bitaxon {

std::string base_hash(const ModelSpec& spec, const Checkpoint* checkpoint) {
  std::string text = spec.config;
  if (checkpoint != nullptr)
    for (const TensorInfo& tensor : checkpoint->tensors())
      text += fmt::format("\n{} {} {} {}", tensor.name, describe(tensor), tensor.file,
                          tensor.offset_bytes);
  return fmt::format("{:016x}", XXH3_64bits(text.data(), text.size()));
}

}  // namespace bitaxon
