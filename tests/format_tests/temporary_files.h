// Temporary files for tests, and checks of errors about files.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <string_view>

#include "bitaxon/error.h"

namespace bitaxon {

/// A folder that exists while the object lives.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "bitaxon-test.XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp " + name);
    path_ = name;
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(std::string_view name) const { return path_ / name; }
  std::filesystem::path write(std::string_view name, std::string_view text) const {
    std::ofstream(path_ / name, std::ios::binary) << text;
    return path_ / name;
  }

 private:
  std::filesystem::path path_;
};

/// The eight bytes that begin a safetensors file.
inline std::string length_bytes(std::uint64_t length) {
  std::string bytes;
  for (int i = 0; i < 8; ++i) bytes.push_back(static_cast<char>((length >> (8 * i)) & 0xff));
  return bytes;
}

/// The bytes of a safetensors file with this header and data. Neither is checked.
inline std::string safetensors_bytes(std::string_view header, std::string_view data) {
  return length_bytes(header.size()) + std::string(header) + std::string(data);
}

/// Expects that `act` throws an Error of `kind`. The message must be one line that begins with
/// `begin` and contains `fragment`.
template <typename Act>
void expect_error(Act&& act, ErrorKind kind, std::string_view begin, std::string_view fragment) {
  try {
    act();
    ADD_FAILURE() << "expected an error with \"" << fragment << "\"";
  } catch (const Error& error) {
    const std::string_view what = error.what();
    EXPECT_EQ(error.kind(), kind) << what;
    EXPECT_TRUE(what.starts_with(begin)) << what << "\nshould begin with " << begin;
    EXPECT_NE(what.find(fragment), what.npos) << what << "\nshould hold " << fragment;
    EXPECT_EQ(what.find_first_of("\n\r\t\x1b"), what.npos) << what << "\nis not one line";
    EXPECT_LT(what.size(), 800u) << what;
  }
}

}  // namespace bitaxon
