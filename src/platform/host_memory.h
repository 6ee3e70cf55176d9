// The machine's memory, and how much of it this process may have.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

namespace bitaxon {

/// Bytes of memory that this process can still have: the least of what the system can give without
/// swapping, what each control group leaves, and the limits of the process (ulimit -v, -d). Page
/// cache counts as free, because the system drops it when memory is short. Empty when the system
/// does not say. `root` holds the system's files.
std::optional<std::uint64_t> available_memory_bytes(const std::filesystem::path& root = "/");
/// Of the machine; 0 when the system does not say, as below.
std::uint64_t total_memory_bytes();
/// Memory of this process that is resident now.
std::uint64_t resident_bytes();
/// The most memory that this process has had resident so far.
std::uint64_t peak_resident_bytes();

}  // namespace bitaxon
