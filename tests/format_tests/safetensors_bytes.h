// Makes the bytes of safetensors files, valid or invalid.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace bitaxon {

/// The first eight bytes of a safetensors file, which hold the length of the header.
inline std::string length_bytes(std::uint64_t length) {
  std::string bytes;
  for (int i = 0; i < 8; ++i) bytes.push_back(static_cast<char>((length >> (8 * i)) & 0xff));
  return bytes;
}

/// The bytes of a safetensors file with this header and this data. The header and the data may be
/// invalid.
inline std::string safetensors_bytes(std::string_view header, std::string_view data) {
  return length_bytes(header.size()) + std::string(header) + std::string(data);
}

}  // namespace bitaxon
