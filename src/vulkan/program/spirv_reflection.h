// Reads the interface of a shader from its SPIR-V.
// Source: Khronos, "SPIR-V Specification", version 1.5, sections 2.3 and 3.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace bitaxon::vulkan {

struct ShaderInterface {
  struct Binding {
    std::uint32_t number = 0;
    bool writable = false;  ///< true if the block is not declared readonly
    friend bool operator==(const Binding&, const Binding&) = default;
  };
  std::vector<Binding> bindings;  ///< the bindings of set 0, ascending
  std::uint32_t push_bytes = 0;
  std::vector<std::uint32_t> constant_ids;  ///< ids of specialization constants, ascending
  /// Whether the shader declares a block that is reached by an address and is not readonly.
  bool writable_addresses = false;
  friend bool operator==(const ShaderInterface&, const ShaderInterface&) = default;
};

/// Reads the interface of a shader. Throws Error(format) if `code` is not SPIR-V, or if it uses
/// features that no shader of this project uses: descriptor sets other than set 0, or descriptors
/// that are not storage buffers.
ShaderInterface reflect(std::span<const std::uint32_t> code);

}  // namespace bitaxon::vulkan
