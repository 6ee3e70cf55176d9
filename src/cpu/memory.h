// Memory of the CPU backend, aligned to kAlignment bytes, on huge pages where the system has them:
// through small ones, reading weights takes up to half as long again. Contents are undefined;
// `what` names it in the Error(device) that is thrown when memory is short.
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>

namespace bitaxon::cpu {

inline constexpr std::size_t kAlignment = 64;

/// For what comes and goes (activations, states).
std::shared_ptr<std::byte> allocate_aligned(std::size_t size_bytes, std::string_view what);

/// For what stays as long as a model does (weights): small pieces lie one after the other on the
/// same huge pages, which are given back with the last of them.
std::shared_ptr<std::byte> allocate_lasting(std::size_t size_bytes, std::string_view what);

}  // namespace bitaxon::cpu
