// A shared library that is opened at run time, because some machines do not have it.
#pragma once

#include <span>
#include <string>

namespace bitaxon {

/// An open library. It stays open while the object lives. Afterwards the addresses from find() are
/// invalid. Move-only.
class DynamicLibrary {
 public:
  DynamicLibrary() = default;
  /// Opens the first of `names` that the system's linker can find and open. If no name works,
  /// throws Error(unsupported) with the linker's message for the first name.
  explicit DynamicLibrary(std::span<const std::string> names);
  DynamicLibrary(DynamicLibrary&& other) noexcept;
  DynamicLibrary& operator=(DynamicLibrary&& other) noexcept;
  ~DynamicLibrary();

  /// The address of `symbol` in the library. Null when the library has no such symbol.
  void* find(const char* symbol) const;

 private:
  void* handle_ = nullptr;
};

}  // namespace bitaxon
