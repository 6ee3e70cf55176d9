// A shared library opened at run time, because some machines lack it.
#pragma once

#include <span>
#include <string>

namespace bitaxon {

/// Stays open while the object lives. Addresses from find() are not valid after that. Move-only.
class DynamicLibrary {
 public:
  DynamicLibrary() = default;
  /// Opens the first of `names` that can be opened, searched for as the system's linker does. When
  /// none can be opened, throws Error(unsupported) with the linker's message for the first name.
  explicit DynamicLibrary(std::span<const std::string> names);
  DynamicLibrary(DynamicLibrary&& other) noexcept;
  DynamicLibrary& operator=(DynamicLibrary&& other) noexcept;
  ~DynamicLibrary();

  /// The address of `symbol`; null when the library has no such symbol.
  void* find(const char* symbol) const;

 private:
  void* handle_ = nullptr;
};

}  // namespace bitaxon
