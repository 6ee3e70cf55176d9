// Structs that grow: reading those of older and newer callers, and filling in theirs.
#pragma once

#include <cstdint>
#include <cstring>

#include "bitaxon/c/types.h"

namespace bitaxon::c {

/// The largest struct_size. It bounds what is read through a wrong size.
inline constexpr std::uint64_t kMaxStructBytes = 1024;

/// The defaults of a struct, with struct_size set.
template <class T>
T defaults();

/// Checks the size of a struct of the caller, and that a part which this library does not know is
/// zero. `known` is the size of the struct here, which is also its smallest size so far.
void check_struct(const void* data, std::uint32_t known, const char* name);
/// Writes defaults into a struct of `size` bytes, of which this library knows `known`.
void init_struct(void* out, std::uint64_t size, const void* values, std::uint32_t known);

/// The options of a caller. Null: the defaults.
template <class T>
T options_of(const T* in, const char* name) {
  if (in == nullptr) return defaults<T>();
  check_struct(in, sizeof(T), name);
  T known;
  std::memcpy(&known, in, sizeof(T));
  return known;
}

template <class T>
void check_output(const T* out, const char* name) {
  if (out != nullptr) check_struct(out, sizeof(T), name);
}

/// Fills in a struct that check_output() has accepted. Keeps the caller's struct_size.
template <class T>
void store(T* out, T value) {
  if (out == nullptr) return;
  value.struct_size = out->struct_size;
  std::memcpy(out, &value, sizeof(T));
}

}  // namespace bitaxon::c
