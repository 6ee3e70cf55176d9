// The CPU implementation of Backend.
#pragma once

#include <memory>
#include <string>

#include "bitaxon/backend.h"
#include "bitaxon/memory.h"

namespace bitaxon::cpu {

struct CpuOptions {
  int n_threads = 0;       ///< 0: one for each core this process may use
  bool reference = false;  ///< plain kernels on one thread unless n_threads says otherwise
};

/// "cpu", or "reference" when asked for. Throws Error(invalid_argument) for a thread count outside
/// 1 to 1024.
std::unique_ptr<Backend> open_cpu_backend(const CpuOptions& options);

/// What open_cpu_backend(options).memory() would say now.
DeviceMemory cpu_memory(const CpuOptions& options);

/// The instruction set of its fast kernels, "AVX-512 VNNI"; empty where plain ones run.
std::string instruction_set(const CpuOptions& options);

/// How many items of its loops each thread of the backend has computed. For tests.
std::uint64_t items_run(const Backend& backend, int thread);

}  // namespace bitaxon::cpu
