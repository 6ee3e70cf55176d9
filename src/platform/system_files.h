// Small files in which the kernel reports numbers: /proc and control groups.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace bitaxon {

/// The value in the first line of `file` that has the key `key`. The value is the text after the
/// key, a colon and blanks. Empty when there is no such line or file.
std::string entry_of(const std::filesystem::path& file, std::string_view key);
/// The number at the start of entry_of(file, key). Empty when the value starts with a word ("max",
/// "unlimited").
std::optional<std::uint64_t> number_of(const std::filesystem::path& file, std::string_view key);
/// The number at the start of a file. Empty when the file starts with a word.
std::optional<std::uint64_t> number_in(const std::filesystem::path& file);

}  // namespace bitaxon
