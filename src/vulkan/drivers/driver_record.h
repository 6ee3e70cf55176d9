// Keeps a file with the results of trying the drivers. Problems with the file are not errors. If the
// file cannot be read, it counts as missing. If its folder cannot be written, nothing is kept.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "vulkan/drivers/drivers.h"

namespace bitaxon::vulkan {

/// Read and write the record of one key in `file`. `key` is a hash of driver_circumstances(). One
/// file holds the latest records of several keys, because several machines and containers may share
/// a home folder.
std::optional<Drivers> read_record(const std::filesystem::path& file, const std::string& key);
void write_record(const std::filesystem::path& file, const std::string& key,
                  const Drivers& drivers) noexcept;

}  // namespace bitaxon::vulkan
