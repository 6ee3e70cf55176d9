// Checks of pointers and sizes, before anything is read through them.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "c_abi/failure.h"

namespace bitaxon::c {

/// The most bytes of a text, and the most ids of a list.
inline constexpr std::uint64_t kMaxTextBytes = std::uint64_t{1} << 32;
inline constexpr std::uint64_t kMaxNameBytes = 1 << 16;
inline constexpr std::uint64_t kMaxIds = std::uint64_t{1} << 31;

/// The object behind a pointer. Refuses null.
template <class T>
T& not_null(T* pointer, const char* name) {
  if (pointer == nullptr) refuse(fmt::format("{}: expected a pointer, got null", name));
  return *pointer;
}

template <class T>
std::span<const T> span_of(const T* data, std::uint64_t n, std::uint64_t most, const char* name) {
  if (n > most) refuse(fmt::format("{}: expected a size of at most {}, got {}", name, most, n));
  if (n > 0) not_null(data, name);
  return {data, static_cast<std::size_t>(n)};
}

inline std::string_view text_of(const char* data, std::uint64_t size, const char* name,
                                std::uint64_t most = kMaxTextBytes) {
  const std::span<const char> bytes = span_of(data, size, most, name);
  return {bytes.data(), bytes.size()};
}

/// A name or a path. Refuses a 0 byte, which no path can have.
inline std::string name_of(const char* data, std::uint64_t size, const char* name) {
  const std::string_view text = text_of(data, size, name, kMaxNameBytes);
  if (text.find('\0') != text.npos) refuse(fmt::format("{}: expected no 0 byte", name));
  return std::string(text);
}

inline std::filesystem::path path_of(const char* data, std::uint64_t size, const char* name) {
  if (size == 0) refuse(fmt::format("{}: expected a path, got none", name));
  return name_of(data, size, name);
}

inline std::span<const std::int32_t> ids_of(const std::int32_t* ids, std::uint64_t n) {
  return span_of(ids, n, kMaxIds, "ids");
}

/// A number that stands for false or true.
inline bool flag_of(std::int32_t value, const char* name) {
  if (value != 0 && value != 1) refuse(fmt::format("{}: expected 0 or 1, got {}", name, value));
  return value == 1;
}

inline void check_flags(std::uint32_t flags, std::uint32_t known) {
  if ((flags & ~known) != 0)
    refuse(fmt::format("flags: expected bits of {:#x}, got {:#x}", known, flags));
}

}  // namespace bitaxon::c
