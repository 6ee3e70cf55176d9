// A shared library opened at run time, because some machines lack it.
#pragma once

#include <span>
#include <string>

namespace bitaxon {

/// The library stays open while the object lives. Afterwards the addresses from find() are invalid.
/// Move-only.
class DynamicLibrary {
 public:
  DynamicLibrary() = default;
  /// Opens the first of `names` that the system's linker can find and open. If no name works,
  /// throws Error(unsupported) with the linker's message for the first name.
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
