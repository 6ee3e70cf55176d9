// What a model takes of a device's memory, and what there is of it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bitaxon/error.h"
#include "bitaxon/export.h"

namespace bitaxon {

/// Memory of one kind, at one moment.
struct MemoryKind {
  std::string name;  ///< "device memory", "system memory"
  /// VK_EXT_memory_budget where it is present, else the heap's size; of the system what it, control
  /// groups and limits of the process leave. Empty: not known.
  std::optional<std::uint64_t> available_bytes = {};
  std::uint64_t backend_bytes = 0;  ///< what the backend takes for itself beside what it is asked
};

/// What the library asks to tell whether a model fits a device. Opaque.
class BackendDescription;

/// One kind of memory: what is needed of it, for what, and what there is.
struct BX_API MemoryRow {
  struct Part {
    std::string purpose;  ///< "weights", "state", "activations", ...
    std::uint64_t bytes = 0;
  };
  std::string kind;
  std::vector<Part> parts;
  std::optional<std::uint64_t> available_bytes = {};  ///< empty: not known

  std::uint64_t needed_bytes() const;
  bool fits() const { return !available_bytes || needed_bytes() <= *available_bytes; }
};

/// What a model needs on a device.
struct BX_API MemoryNeed {
  std::vector<MemoryRow> rows;  ///< weights, state and activations are in the first
  std::string too_large;  ///< what is above a limit of the device, in one line; empty: nothing

  bool fits() const;
};

/// Thrown before anything is loaded; what() is one line.
class BX_API OutOfMemory : public Error {
 public:
  OutOfMemory(const std::string& message, MemoryNeed need)
      : Error(ErrorKind::device, message), need_(std::move(need)) {}
  const MemoryNeed& need() const noexcept { return need_; }

 private:
  MemoryNeed need_;
};

}  // namespace bitaxon
