// What the processor is and how much of it this process may use.
#pragma once

#include <cstdint>
#include <string>

namespace bitaxon {

/// "AMD EPYC ..." as the system tells it, else "CPU".
std::string cpu_model_name();
/// Cores this process may use (its affinity, and the time its control groups give it), at least 1.
int usable_cores();
/// Bytes of memory that can be had without swapping; 0 when the system does not say.
std::uint64_t available_memory_bytes();
std::uint64_t total_memory_bytes();
/// Memory of this process that is resident now; 0 when the system does not say.
std::uint64_t resident_bytes();
/// The most memory that this process has had resident so far; 0 when the system does not say.
std::uint64_t peak_resident_bytes();

}  // namespace bitaxon
