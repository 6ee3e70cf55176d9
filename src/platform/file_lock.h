// A lock between processes, held through a lock file.
#pragma once

#include <sys/file.h>

#include <filesystem>
#include <optional>
#include <string>

namespace bitaxon {

/// A lock that is held while the object lives. The system releases the lock when the process ends.
/// The lock file is not removed, because two processes could then lock two different files of the
/// same name. Move-only.
class FileLock {
 public:
  using LockCall = int (*)(int descriptor, int operation);

  /// Takes the lock. Returns an empty value while another process holds the lock. If the file
  /// system has no locks, or if the lock file cannot be opened, returns an object that holds no
  /// lock, and problem() says why. Throws Error(io) when the disk is full or too many files are
  /// open. Opens another user's file read-only. Does not follow symbolic links. Tests replace
  /// `lock`.
  static std::optional<FileLock> try_lock(const std::filesystem::path& path,
                                          LockCall lock = ::flock);
  FileLock(FileLock&& other) noexcept;
  FileLock& operator=(FileLock&& other) noexcept;
  ~FileLock();

  bool is_held() const { return fd_ >= 0; }
  /// Why the lock is not held, as "FILE: cannot lock: REASON". Empty when the lock is held.
  const std::string& problem() const { return problem_; }

 private:
  FileLock(int fd, std::string problem) : fd_(fd), problem_(std::move(problem)) {}

  int fd_ = -1;
  std::string problem_;
};

}  // namespace bitaxon
