// Lists of token ids as users write them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace bitaxon::tool {

/// Parses ids such as "1,2,3". Spaces and brackets are allowed. Throws UsageError that names the
/// flag and the invalid item.
std::vector<std::int32_t> parse_ids(const std::string& flag, const std::string& text);
/// Reads a file with a JSON list of ids. Throws Error(format).
std::vector<std::int32_t> read_ids_file(const std::filesystem::path& path);
/// The ids of --ids, or if that flag is empty, the ids of the file --ids-file. There is at least
/// one id. Throws as parse_ids and read_ids_file do.
std::vector<std::int32_t> read_ids(const std::string& ids, const std::string& ids_file);
/// Sizes of the pieces in which `n_ids` ids are fed. `split` lists them ("7,93,1,1"); empty means
/// one piece. A piece that is larger than a step is cut. Throws UsageError that names --split.
std::vector<std::size_t> parse_split(const std::string& split, std::size_t n_ids);
/// The ids as text: "[1, 2, 3]".
std::string ids_text(const std::vector<std::int32_t>& ids);

}  // namespace bitaxon::tool
