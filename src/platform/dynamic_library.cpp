#include "platform/dynamic_library.h"

#include <dlfcn.h>

#include <utility>

#include "bitaxon/error.h"

#ifdef BX_NEVER_UNLOAD
// Replaces the system's dlclose() for every library of the process. Drivers never free some of
// their memory (Mesa 22.3.6: 128 bytes). If they were unloaded, the leak checker would report that
// memory as a leak, without a function name. The function must be visible to the other libraries.
extern "C" [[gnu::visibility("default")]] int dlclose(void*) { return 0; }
#endif

namespace bitaxon {

DynamicLibrary::DynamicLibrary(std::span<const std::string> names) {
  std::string problem;
  for (const std::string& name : names) {
    handle_ = ::dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (handle_ != nullptr) return;
    const char* words = ::dlerror();
    if (problem.empty()) problem = words == nullptr ? name + ": cannot be opened" : words;
  }
  throw Error(ErrorKind::unsupported, problem.empty() ? "no library was named" : problem);
}

DynamicLibrary::DynamicLibrary(DynamicLibrary&& other) noexcept
    : handle_(std::exchange(other.handle_, nullptr)) {}

DynamicLibrary& DynamicLibrary::operator=(DynamicLibrary&& other) noexcept {
  std::swap(handle_, other.handle_);
  return *this;
}

DynamicLibrary::~DynamicLibrary() {
  if (handle_ != nullptr) ::dlclose(handle_);
}

void* DynamicLibrary::find(const char* symbol) const {
  return handle_ == nullptr ? nullptr : ::dlsym(handle_, symbol);
}

}  // namespace bitaxon
