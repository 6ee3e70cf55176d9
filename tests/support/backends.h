// The backends under test. Each test program opens every backend once.
#pragma once

#include <map>
#include <memory>

#include "bitaxon/devices.h"

namespace bitaxon::test {

inline Backend& reference_backend() {
  static const std::shared_ptr<Backend> backend =
      open_device("reference", {.n_threads = 1}).backend;
  return *backend;
}

inline Backend& cpu_backend(int n_threads) {
  static std::map<int, std::shared_ptr<Backend>> backends;
  auto& backend = backends[n_threads];
  if (backend == nullptr) backend = open_device("cpu", {.n_threads = n_threads}).backend;
  return *backend;
}

}  // namespace bitaxon::test
