// Allocates memory for the CPU backend, aligned to kAlignment bytes and not initialized. Uses huge
// pages where the system has them, because with small pages reading weights takes up to 1.5 times
// as long. If memory is short, the functions throw Error(device), and `what` names the memory in
// the message.
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>

namespace bitaxon::cpu {

inline constexpr std::size_t kAlignment = 64;

/// Allocates memory that is needed for a short time, such as activations and states.
std::shared_ptr<std::byte> allocate_aligned(std::size_t size_bytes, std::string_view what);

/// Allocates memory that is needed as long as the model, such as weights. Small allocations share a
/// chunk of huge pages. A chunk is freed when the last allocation in it is freed.
std::shared_ptr<std::byte> allocate_lasting(std::size_t size_bytes, std::string_view what);

}  // namespace bitaxon::cpu
