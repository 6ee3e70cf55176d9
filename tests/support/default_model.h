// The weights of the default configuration in every format, as descriptions without values.
#pragma once

#include <string>
#include <vector>

#include "core/backend.h"
#include "core/backend_description.h"
#include "model/families/bit_axon.h"
#include "model/memory_need.h"
#include "model/random_weights.h"

namespace bitaxon::test {

/// Descriptions of the weights of `config`. Every weight that may be quantized has the format
/// `format`.
inline std::vector<FoundWeight> found_in(const BitAxonConfig& config, WeightFormat format,
                                         bool nested) {
  std::vector<FoundWeight> found = random_found(config.spec());
  for (FoundWeight& weight : found) {
    WeightDesc& desc = weight.source.desc;
    if (!weight.slot.may_be_quantized() || format == WeightFormat::dense) continue;
    desc.format = format;
    desc.bias_dtype = desc.dtype;
    desc.group_size = 64;
    desc.nested = nested;
    desc.nested_group_size = nested ? 256 : 0;
  }
  return found;
}

/// Expects that packed weights take less than 2 % more bytes than stored weights, in every format.
inline void expect_packed_like_stored(const BackendDescription& device) {
  struct {
    WeightFormat format;
    bool nested;
  } const kForms[] = {{WeightFormat::dense, false},
                      {WeightFormat::affine, false},
                      {WeightFormat::codebook, false},
                      {WeightFormat::codebook, true}};
  for (const auto& form : kForms) {
    std::uint64_t stored = 0;
    std::uint64_t packed = 0;
    std::string name;
    for (const FoundWeight& weight : found_in(BitAxonConfig{}, form.format, form.nested)) {
      const auto described = device.describe(weight.source.desc);
      stored += described->stored_bytes;
      packed += described->packed_bytes;
      EXPECT_EQ(described->format, weight.source.desc.format_name());
      if (weight.slot.may_be_quantized()) name = described->format;
    }
    EXPECT_GE(packed, stored) << name;
    EXPECT_LT(static_cast<double>(packed), 1.02 * static_cast<double>(stored)) << name;
  }
}

}  // namespace bitaxon::test
