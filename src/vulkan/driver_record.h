// What has been found out about drivers, kept on disk. Whatever is wrong with the file is a miss,
// never an error; so is a folder that cannot be written.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "vulkan/drivers.h"

namespace bitaxon::vulkan {

/// `key`: a hash of driver_circumstances(). One file has what was found last under several keys,
/// because the same home folder may be used on several machines and in containers.
std::optional<Drivers> read_record(const std::filesystem::path& file, const std::string& key);
void write_record(const std::filesystem::path& file, const std::string& key,
                  const Drivers& drivers) noexcept;

}  // namespace bitaxon::vulkan
