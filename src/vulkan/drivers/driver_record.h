// The results of trying the drivers, kept on disk. A file that cannot be read counts as missing,
// and a folder that cannot be written is ignored. Neither is an error.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "vulkan/drivers/drivers.h"

namespace bitaxon::vulkan {

/// `key` is a hash of driver_circumstances(). One file holds the latest records of several keys,
/// because several machines and containers may share a home folder.
std::optional<Drivers> read_record(const std::filesystem::path& file, const std::string& key);
void write_record(const std::filesystem::path& file, const std::string& key,
                  const Drivers& drivers) noexcept;

}  // namespace bitaxon::vulkan
