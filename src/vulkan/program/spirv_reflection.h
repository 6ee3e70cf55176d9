// The interface of a shader, read from its SPIR-V.
// Source: Khronos, "SPIR-V Specification", version 1.5, sections 2.3 and 3.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace bitaxon::vulkan {

struct ShaderInterface {
  struct Binding {
    std::uint32_t number = 0;
    bool writable = false;  ///< not declared readonly
    friend bool operator==(const Binding&, const Binding&) = default;
  };
  std::vector<Binding> bindings;  ///< the bindings of set 0, ascending
  std::uint32_t push_bytes = 0;
  std::vector<std::uint32_t> constant_ids;  ///< ids of specialization constants, ascending
  /// Whether a block that is reached by an address may be written.
  bool writable_addresses = false;
  friend bool operator==(const ShaderInterface&, const ShaderInterface&) = default;
};

/// Throws Error(format) for code that is not SPIR-V. Also throws for features that no shader of the
/// project uses: descriptor sets other than 0, descriptors other than storage buffers.
ShaderInterface reflect(std::span<const std::uint32_t> code);

}  // namespace bitaxon::vulkan
