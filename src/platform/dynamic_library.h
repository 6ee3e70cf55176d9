// A shared library opened at run time, for what may be missing on a machine.
#pragma once

#include <span>
#include <string>

namespace bitaxon {

/// Stays open as long as the object lives; what find() gave is not used after that. Move-only.
class DynamicLibrary {
 public:
  DynamicLibrary() = default;
  /// The first of `names` that can be opened, each looked up as the system's linker does. Throws
  /// Error(unsupported) with the linker's words for the first name when none can.
  explicit DynamicLibrary(std::span<const std::string> names);
  DynamicLibrary(DynamicLibrary&& other) noexcept;
  DynamicLibrary& operator=(DynamicLibrary&& other) noexcept;
  ~DynamicLibrary();

  /// The address of `symbol`; null when the library has none of this name.
  void* find(const char* symbol) const;

 private:
  void* handle_ = nullptr;
};

}  // namespace bitaxon
