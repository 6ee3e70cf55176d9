// The best rates of the host's memory and processor, as upper limits for the CPU backend.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

namespace bitaxon {

/// The number of bytes to read when a read rate is measured. This is `most`, halved until it is at
/// most half of `available`, so that other programs have room. `available` is empty when the free
/// memory is not known. Returns 0 when the result would be less than `least`, because the
/// measurement would then show the speed of the cache and not of the memory.
std::size_t read_rate_bytes(std::size_t most, std::size_t least,
                            std::optional<std::uint64_t> available);

/// Read bandwidth of `n_threads` threads, in bytes per second: the best of several passes over
/// memory larger than the cache, in huge pages where the system has them. Takes about a second.
/// Returns 0 when there is too little memory. Throws Error(device) when the threads cannot be
/// started.
double host_read_rate(int n_threads);

/// Float32 operations per second of `n_threads` threads that multiply and add in registers, with
/// the widest vectors of the processor. A multiply-add counts as two operations. Takes a fraction
/// of a second. Throws as host_read_rate() does.
double host_multiply_add_rate(int n_threads);

}  // namespace bitaxon
