// What the host's memory and processor reach at best: the limits that the CPU is held against.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

namespace bitaxon {

/// Bytes to read for a read rate: `most`, halved until they are at most half of what is available
/// (empty: not known), so that there is room for other things. 0 when they would be fewer than
/// `least`, and a cache would be measured.
std::size_t read_rate_bytes(std::size_t most, std::size_t least,
                            std::optional<std::uint64_t> available);

/// Read bandwidth of `n_threads` threads, bytes per second: the best of several passes over memory
/// that no cache holds, in huge pages where the system has them. Takes about a second. 0 when there
/// is too little memory for it. Throws Error(device) when the threads cannot be started.
double host_read_rate(int n_threads);

/// Float32 operations per second of `n_threads` threads that multiply and add in registers (a
/// multiply and an add are two), with the widest vectors that the processor has. Takes a fraction
/// of a second. Throws as host_read_rate() does.
double host_multiply_add_rate(int n_threads);

}  // namespace bitaxon
