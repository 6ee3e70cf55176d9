#include "platform/file_lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "bitaxon/error.h"
#include "platform/printable.h"

namespace bitaxon {
namespace {

int open_lock_file(const std::filesystem::path& path) {
  constexpr int kFlags = O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | kFlags, 0666);
  if (fd >= 0) return fd;
  // The file may belong to another user. Read access is enough to lock it.
  const int error = errno;
  const int read_only = ::open(path.c_str(), O_RDONLY | kFlags);
  if (read_only < 0) errno = error;
  return read_only;
}

/// Whether the error means that the disk is full or too many files are open. Other errors only mean
/// that the file cannot be locked.
bool is_failure(int error) {
  return error == ENOSPC || error == EDQUOT || error == EMFILE || error == ENFILE;
}

}  // namespace

std::optional<FileLock> FileLock::try_lock(const std::filesystem::path& path, LockCall lock) {
  const int fd = open_lock_file(path);
  if (fd >= 0 && lock(fd, LOCK_EX | LOCK_NB) == 0) return FileLock(fd, {});
  const int error = errno;
  const char* what = fd < 0 ? "cannot open" : "cannot lock";
  if (fd >= 0) ::close(fd);
  if (fd >= 0 && (error == EWOULDBLOCK || error == EINTR)) return std::nullopt;
  if (is_failure(error))
    throw Error(ErrorKind::io, fmt::format("{}: {}: {}", printable_path(path.string()), what,
                                           std::strerror(error)));
  return FileLock(
      -1, fmt::format("{}: {}: {}", printable_path(path.string()), what, std::strerror(error)));
}

FileLock::FileLock(FileLock&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), problem_(std::move(other.problem_)) {}

FileLock& FileLock::operator=(FileLock&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(problem_, other.problem_);
  return *this;
}

FileLock::~FileLock() {
  if (fd_ >= 0) ::close(fd_);
}

}  // namespace bitaxon
