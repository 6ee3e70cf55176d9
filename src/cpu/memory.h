// Memory of the CPU backend, aligned to kAlignment bytes. Uses huge pages where the system has
// them: with small pages, reading weights takes up to 1.5 times as long. Contents are undefined.
// `what` names the memory in the Error(device) that is thrown when memory is short.
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>

namespace bitaxon::cpu {

inline constexpr std::size_t kAlignment = 64;

/// For short-lived memory (activations, states).
std::shared_ptr<std::byte> allocate_aligned(std::size_t size_bytes, std::string_view what);

/// For memory that lives as long as a model (weights). Small allocations share huge pages. Shared
/// pages are freed together with the last allocation that uses them.
std::shared_ptr<std::byte> allocate_lasting(std::size_t size_bytes, std::string_view what);

}  // namespace bitaxon::cpu
