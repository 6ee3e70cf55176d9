// A device on which single layers compute.
#pragma once

#include <memory>
#include <mutex>
#include <utility>

#include "eager/session.h"

namespace bitaxon {

/// A backend, and memory that all layers on it share. Layers lock the mutex while they compute, so
/// they may be used from several threads.
struct EagerDevice {
  explicit EagerDevice(std::shared_ptr<Backend> opened) : backend(std::move(opened)) {}

  std::shared_ptr<Backend> backend;
  std::shared_ptr<StepMemory> memory = std::make_shared<StepMemory>();
  std::mutex mutex;
};

}  // namespace bitaxon
