// A lock between processes, held through a lock file.
#pragma once

#include <sys/file.h>

#include <filesystem>
#include <optional>
#include <string>

namespace bitaxon {

/// The lock is held while the object lives. The system releases the lock when the process ends. The
/// lock file stays: if it were removed, two processes could lock two different files of that name.
/// Move-only.
class FileLock {
 public:
  using LockCall = int (*)(int descriptor, int operation);

  /// Returns an empty value while another process holds the lock. Some file systems have no locks,
  /// and some lock files cannot be opened: the object then holds no lock, and problem() says why.
  /// Throws Error(io) when the disk is full or too many files are open. Opens another user's file
  /// read-only. Does not follow symbolic links. Tests replace `lock`.
  static std::optional<FileLock> try_lock(const std::filesystem::path& path,
                                          LockCall lock = ::flock);
  FileLock(FileLock&& other) noexcept;
  FileLock& operator=(FileLock&& other) noexcept;
  ~FileLock();

  bool is_held() const { return fd_ >= 0; }
  /// "FILE: cannot lock: REASON"; empty when the lock is held.
  const std::string& problem() const { return problem_; }

 private:
  FileLock(int fd, std::string problem) : fd_(fd), problem_(std::move(problem)) {}

  int fd_ = -1;
  std::string problem_;
};

}  // namespace bitaxon
