// What the host's memory and processor reach at best: the limits that the CPU is held against.
#pragma once

namespace bitaxon {

/// Bytes per second that so many threads together read, the best of several passes over memory that
/// no cache holds, in huge pages where the system has them. Takes about a second and 512 MiB.
/// Throws std::bad_alloc.
double host_read_rate(int n_threads);

/// Float32 operations per second of so many threads that multiply and add in registers (a multiply
/// and an add are two), with the widest vectors that the processor has. Takes a fraction of a
/// second.
double host_multiply_add_rate(int n_threads);

}  // namespace bitaxon
