#include "platform/sync.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "bitaxon/error.h"
#include "platform/printable.h"

namespace bitaxon {
namespace {

namespace fs = std::filesystem;

/// Whether the error comes from the disk. Some file systems cannot flush folders and report various
/// other errors, which are ignored.
bool is_disk_error(int error) { return error == EIO || error == ENOSPC || error == EDQUOT; }

void sync_path(const fs::path& path, int flags) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | flags);
  if (fd < 0) return;  // a file may be writable but not readable
  const int error = ::fsync(fd) == 0 ? 0 : errno;
  ::close(fd);
  if (is_disk_error(error))
    throw Error(ErrorKind::io, fmt::format("{}: cannot flush: {}", printable_path(path.string()),
                                           std::strerror(error)));
}

}  // namespace

void sync_folder(const fs::path& folder) { sync_path(folder, O_DIRECTORY); }

void sync_parent(const fs::path& path) {
  sync_folder(path.has_parent_path() ? path.parent_path() : fs::path("."));
}

void sync_tree(const fs::path& folder) {
  std::error_code ignored;
  for (fs::directory_iterator it(folder, ignored), end; !ignored && it != end;
       it.increment(ignored)) {
    const fs::file_status status = it->symlink_status();
    if (fs::is_directory(status)) sync_tree(it->path());
    if (fs::is_regular_file(status)) sync_path(it->path(), O_NOFOLLOW);
  }
  sync_folder(folder);
}

void replace_folder(const fs::path& folder, const fs::path& target) {
  const auto rename_with = [&](unsigned flags) {
    return ::renameat2(AT_FDCWD, folder.c_str(), AT_FDCWD, target.c_str(), flags) == 0 ? 0 : errno;
  };
  int error = ::rename(folder.c_str(), target.c_str()) == 0 ? 0 : errno;
  const auto is_taken = [&] { return error == EEXIST || error == ENOTEMPTY || error == ENOTDIR; };
  if (is_taken()) error = rename_with(RENAME_EXCHANGE);
  if (error == EINVAL || error == ENOSYS) {
    // This file system cannot exchange names. For a moment nothing has the name `target`.
    const fs::path old = folder.string() + ".old";
    error = ::rename(target.c_str(), old.c_str()) == 0 ? 0 : errno;
    if (error == 0) error = ::rename(folder.c_str(), target.c_str()) == 0 ? 0 : errno;
    if (error == 0) error = ::rename(old.c_str(), folder.c_str()) == 0 ? 0 : errno;
  }
  if (error != 0)
    throw Error(ErrorKind::io, fmt::format("{}: cannot rename a folder to it: {}",
                                           printable_path(target.string()), std::strerror(error)));
}

}  // namespace bitaxon
