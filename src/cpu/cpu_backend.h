// The CPU implementation of Backend.
#pragma once

#include <memory>
#include <string>

#include "core/backend.h"
#include "core/backend_description.h"

namespace bitaxon::cpu {

struct CpuOptions {
  int n_threads = 0;       ///< 0: one thread for each core that this process may use
  bool reference = false;  ///< use plain kernels, and one thread unless n_threads is set
};

/// Opens the backend "cpu", or the backend "reference" if `reference` is set. Throws
/// Error(invalid_argument) if the number of threads is not in 1 to 1024.
std::shared_ptr<Backend> open_cpu_backend(const CpuOptions& options);

/// Returns what open_cpu_backend(options)->description() would return, without opening a backend.
std::shared_ptr<const BackendDescription> describe_cpu(const CpuOptions& options);

/// The instruction set of the vectorized kernels, such as "AVX-512 VNNI". Empty if plain kernels
/// run.
std::string instruction_set(const CpuOptions& options);

/// The number of loop items that a thread of the backend has computed. For tests.
std::uint64_t items_run(const Backend& backend, int thread);

}  // namespace bitaxon::cpu
