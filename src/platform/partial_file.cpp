#include "platform/partial_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "bitaxon/error.h"
#include "platform/printable.h"
#include "platform/sync.h"

namespace bitaxon {
namespace {

[[noreturn]] void throw_errno(const std::filesystem::path& path, const char* what) {
  const int error = errno;
  throw Error(ErrorKind::io,
              fmt::format("{}: {}: {}", printable_path(path.string()), what, std::strerror(error)));
}

int open_partial(const std::filesystem::path& path) {
  // O_NOFOLLOW, because the program would write to another file through a link. O_NONBLOCK, because
  // opening a pipe must not hang.
  return ::open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK,
                0666);
}

/// Replaces a file that this user may not write by a copy. If this user may not read the file
/// either, removes the file. If the folder is not writable, the file stays.
void replace_by_copy(const std::filesystem::path& path) {
  namespace fs = std::filesystem;
  std::error_code error;
  if (!fs::is_regular_file(fs::symlink_status(path, error))) return;
  const fs::path copy = path.string() + ".copy";
  fs::remove(copy, error);
  if (fs::copy_file(path, copy, error)) {
    fs::permissions(copy, fs::perms::owner_write, fs::perm_options::add, error);
    fs::rename(copy, path, error);
    return;
  }
  const bool is_unreadable = error == std::errc::permission_denied;
  fs::remove(copy, error);
  if (is_unreadable) fs::remove(path, error);
}

}  // namespace

PartialFile::PartialFile(std::filesystem::path path) : path_(std::move(path)) {
  fd_ = open_partial(path_);
  if (fd_ < 0 && errno == EACCES) {
    replace_by_copy(path_);
    fd_ = open_partial(path_);
  }
  if (fd_ < 0) throw_errno(path_, "cannot open");
  struct stat status {};
  const bool known = ::fstat(fd_, &status) == 0;
  if (!known || !S_ISREG(status.st_mode)) {
    ::close(std::exchange(fd_, -1));
    throw Error(ErrorKind::io, fmt::format("{}: expected a regular file, got something else",
                                           printable_path(path_.string())));
  }
  size_bytes_ = static_cast<std::uint64_t>(status.st_size);
}

PartialFile::~PartialFile() {
  if (fd_ >= 0) ::close(fd_);
}

void PartialFile::expect_own_size() const {
  struct stat status {};
  if (::fstat(fd_, &status) != 0) throw_errno(path_, "cannot read its size");
  if (static_cast<std::uint64_t>(status.st_size) == size_bytes_) return;
  throw Error(ErrorKind::io,
              fmt::format("{}: expected {} bytes, got {}: another process is writing to it",
                          printable_path(path_.string()), size_bytes_, status.st_size));
}

void PartialFile::append(std::span<const std::byte> bytes) {
  expect_own_size();
  while (!bytes.empty()) {
    const ssize_t put = ::write(fd_, bytes.data(), bytes.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) throw_errno(path_, "cannot write");
    size_bytes_ += static_cast<std::uint64_t>(put);
    bytes = bytes.subspan(static_cast<std::size_t>(put));
  }
}

void PartialFile::clear() {
  if (::ftruncate(fd_, 0) != 0) throw_errno(path_, "cannot truncate");
  size_bytes_ = 0;
}

void PartialFile::publish(const std::filesystem::path& target) {
  expect_own_size();
  if (::fsync(fd_) != 0 && errno != EINVAL) throw_errno(path_, "cannot flush");
  if (::rename(path_.c_str(), target.c_str()) != 0) throw_errno(target, "cannot rename to it");
  sync_parent(target);
}

}  // namespace bitaxon
