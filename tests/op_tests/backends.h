// The backends under test, opened once for each test program.
#pragma once

#include <map>
#include <memory>

#include "bitaxon/backend.h"
#include "cpu/cpu_backend.h"

namespace bitaxon::test {

inline Backend& reference_backend() {
  static const std::unique_ptr<Backend> backend =
      cpu::open_cpu_backend({.n_threads = 1, .reference = true});
  return *backend;
}

inline Backend& cpu_backend(int n_threads) {
  static std::map<int, std::unique_ptr<Backend>> backends;
  auto& backend = backends[n_threads];
  if (backend == nullptr) backend = cpu::open_cpu_backend({.n_threads = n_threads});
  return *backend;
}

}  // namespace bitaxon::test
