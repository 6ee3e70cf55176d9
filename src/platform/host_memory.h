// The machine's memory, and how much of it this process may use.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

namespace bitaxon {

/// Bytes of memory that this process can still get. This is the least of three amounts: the memory
/// that the system can give without swapping, the unused rest of each control group's limit, and
/// the unused rest of the limits of the process (ulimit -v, -d). Page cache counts as free, because
/// the system drops it when memory is short. Empty when the system does not report these values.
/// `root` is the root of the system's files.
std::optional<std::uint64_t> available_memory_bytes(const std::filesystem::path& root = "/");
/// The memory of the machine in bytes. This function and the next two functions return 0 when the
/// system does not report the value.
std::uint64_t total_memory_bytes();
/// Resident memory of this process at the moment of the call.
std::uint64_t resident_bytes();
/// The largest resident memory of this process so far.
std::uint64_t peak_resident_bytes();

}  // namespace bitaxon
