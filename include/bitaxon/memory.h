// The memory that a model needs on a device, and the memory that is available.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bitaxon/error.h"
#include "bitaxon/export.h"

namespace bitaxon {

/// One kind of memory of a device at one moment.
struct MemoryKind {
  std::string name;  ///< "device memory", "system memory"
  /// Device memory: the budget of VK_EXT_memory_budget, or the heap's size without that extension.
  /// System memory: the memory that the system, control groups and process limits leave. Empty if
  /// not known.
  std::optional<std::uint64_t> available_bytes = {};
  std::uint64_t backend_bytes = 0;  ///< what the backend takes in addition to the requested bytes
};

/// A device's memory and its rules for the sizes of weights, state and activations. The library
/// computes from these whether a model fits. The type is opaque.
class BackendDescription;

/// The bytes that a model needs of one kind of memory, by purpose, and the available bytes.
struct BX_API MemoryRow {
  struct Part {
    std::string purpose;  ///< "weights", "state", "activations", ...
    std::uint64_t bytes = 0;
  };
  std::string kind;
  std::vector<Part> parts;
  std::optional<std::uint64_t> available_bytes = {};  ///< empty if not known

  std::uint64_t needed_bytes() const;
  bool fits() const { return !available_bytes || needed_bytes() <= *available_bytes; }
};

/// The memory that a model needs on a device.
struct BX_API MemoryNeed {
  std::vector<MemoryRow> rows;  ///< one for each kind; the first has weights, state and activations
  std::string too_large;        ///< one line on what exceeds a limit of the device, or empty

  bool fits() const;
};

/// Thrown before anything is loaded, if a model does not fit. what() is one line.
class BX_API OutOfMemory : public Error {
 public:
  OutOfMemory(const std::string& message, MemoryNeed need)
      : Error(ErrorKind::device, message), need_(std::move(need)) {}
  const MemoryNeed& need() const noexcept { return need_; }

 private:
  MemoryNeed need_;
};

}  // namespace bitaxon
