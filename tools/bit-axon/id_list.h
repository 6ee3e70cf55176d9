// Lists of token ids as users write them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace bitaxon::tool {

/// "1,2,3", with spaces and brackets allowed. Throws UsageError that names the flag and the item.
std::vector<std::int32_t> parse_ids(const std::string& flag, const std::string& text);
/// A JSON list of whole numbers. Throws Error(format).
std::vector<std::int32_t> read_ids_file(const std::filesystem::path& path);
/// "[1, 2, 3]"
std::string ids_text(const std::vector<std::int32_t>& ids);

}  // namespace bitaxon::tool
