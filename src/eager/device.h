// A device on which single layers compute.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <vector>

#include "eager/session.h"

namespace bitaxon {

/// A backend, and memory that all layers on it share. Layers lock the device while they compute, so
/// they may be used from several threads.
class EagerDevice {
 public:
  explicit EagerDevice(std::shared_ptr<Backend> backend) : backend_(std::move(backend)) {}

  Backend& backend() const { return *backend_; }
  const std::shared_ptr<Backend>& shared_backend() const { return backend_; }
  const std::shared_ptr<StepMemory>& memory() const { return memory_; }

  /// Calls of the backend need this lock.
  [[nodiscard]] std::unique_lock<std::mutex> lock();
  /// Drops the last handle to a layer or a weight of this device. If the device computes, the object
  /// is dropped later, and this function does not wait.
  void drop(std::shared_ptr<const void> object);

  /// While a layer computes: the flag that ends its run before the next step. Set it with the lock.
  void set_cancelled(const std::atomic<bool>* flag) { cancelled_ = flag; }
  /// Throws Error(device) if the flag is set.
  void check_cancelled() const;

 private:
  void drop_all();

  std::shared_ptr<Backend> backend_;
  std::shared_ptr<StepMemory> memory_ = std::make_shared<StepMemory>();
  const std::atomic<bool>* cancelled_ = nullptr;
  std::mutex mutex_;
  std::mutex dropped_mutex_;  ///< guards dropped_
  std::vector<std::shared_ptr<const void>> dropped_;
};

}  // namespace bitaxon
