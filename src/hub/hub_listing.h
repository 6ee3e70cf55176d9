// The files of a repository as a hub lists them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace bitaxon::hub {

/// The size of the longest list of files that is accepted.
inline constexpr std::size_t kMaxListingBytes = std::size_t{32} << 20;
/// The largest file size that is accepted, so that sums of sizes fit 64 bits.
inline constexpr std::uint64_t kMaxFileBytes = std::uint64_t{1} << 46;

/// One file of a revision.
struct HubFile {
  std::string name;  ///< a path below the repository's folder
  std::uint64_t size_bytes = 0;
  /// The hash of the contents, which is also the name in the cache: SHA-256 for a file in LFS,
  /// git's SHA-1 for other files. On hubs without these hashes, the id is the file's ETag.
  std::string id;
};

/// A file as a hub lists it. Hubs differ in how much they list.
struct ListedFile {
  std::string name;                              ///< unchecked: it may not be a valid path
  std::optional<std::uint64_t> size_bytes = {};  ///< empty if the hub does not list the size
  std::string id = {};                           ///< empty if the hub does not list the id
};

struct HubListing {
  std::string commit;  ///< 40 hexadecimal digits, or 64 on hubs that are not built on git
  std::vector<ListedFile> files = {};
};

/// Reads the hub's description of a revision. `name` begins every message. `files` stays empty when
/// the description holds no list of files. Throws Error(format).
HubListing parse_listing(std::string_view text, std::string_view name);
/// Reads a page of the hub's list of a revision's files and folders. Throws Error(format).
std::vector<ListedFile> parse_tree(std::string_view text, std::string_view name);
/// Throws Error(format) for files that cannot be fetched into one folder: names that lead out of
/// the folder, two files with one name, a file where another file needs a folder.
void refuse_unfetchable(const std::vector<ListedFile>& files, std::string_view name);
/// The id that an ETag holds: the tag without its quotes and without the "W/" of a weak tag,
/// escaped for use as a file name. Empty when the tag cannot be a file name.
std::string id_of_tag(std::string_view tag);

}  // namespace bitaxon::hub
