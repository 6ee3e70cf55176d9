#include "platform/optional_file.h"

#include <fmt/format.h>

#include <system_error>

#include "bitaxon/error.h"
#include "platform/printable.h"

namespace bitaxon {
namespace {

namespace fs = std::filesystem;

/// Whether `path` is a symbolic link without a target. If this process may not access the target,
/// the target counts as existing.
bool is_broken_link(const fs::path& path) {
  std::error_code error;
  if (!fs::is_symlink(fs::symlink_status(path, error))) return false;
  return fs::status(path, error).type() == fs::file_type::not_found ||
         error == std::errc::too_many_symbolic_link_levels;
}

}  // namespace

void refuse_broken_link(const fs::path& path) {
  std::error_code error;
  for (fs::path at = path; !at.empty() && !fs::exists(at, error); at = at.parent_path()) {
    if (is_broken_link(at))
      throw Error(ErrorKind::io,
                  fmt::format("{}: a symbolic link that leads nowhere: its target is {}",
                              printable_path(at.string()),
                              printable_path(fs::read_symlink(at, error).string())));
    if (at == at.parent_path()) return;
  }
}

bool optional_file_exists(const fs::path& path) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (fs::exists(status)) return true;
  refuse_broken_link(path);
  if (status.type() == fs::file_type::not_found) return false;
  throw Error(ErrorKind::io, fmt::format("{}: cannot look for it: {}",
                                         printable_path(path.string()), error.message()));
}

}  // namespace bitaxon
