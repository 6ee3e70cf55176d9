// Small files in which the kernel tells numbers: /proc and control groups.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace bitaxon {

/// The rest of the first line that begins with `key`, without the colon and blanks before it; empty
/// when there is no such line or file.
std::string entry_of(const std::filesystem::path& file, std::string_view key);
/// The number with which such an entry begins. Empty when it begins with none ("max", "unlimited").
std::optional<std::uint64_t> number_of(const std::filesystem::path& file, std::string_view key);
/// The number with which a file begins; likewise.
std::optional<std::uint64_t> number_in(const std::filesystem::path& file);

}  // namespace bitaxon
