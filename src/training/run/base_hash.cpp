#include "training/run/base_hash.h"

#include <fmt/format.h>
#include <xxhash.h>

namespace bitaxon {

std::string base_hash(const BaseModel& base) {
  std::string text = base.spec.config;
  if (base.checkpoint)
    for (const TensorInfo& tensor : base.checkpoint->tensors())
      text += fmt::format("\n{} {} {} {}", tensor.name, describe(tensor), tensor.file,
                          tensor.offset_bytes);
  return fmt::format("{:016x}", XXH3_64bits(text.data(), text.size()));
}

}  // namespace bitaxon
