// A lock between processes, held through a file of its own.
#pragma once

#include <sys/file.h>

#include <filesystem>
#include <optional>
#include <string>

namespace bitaxon {

/// Held as long as the object lives; the system releases it when the process ends. The file stays:
/// removing it would let two others hold locks on two files of one name. Move-only.
class FileLock {
 public:
  using LockCall = int (*)(int descriptor, int operation);

  /// Empty while another process holds the lock. Some file systems have no locks, and some files
  /// may not be opened: the object then holds none, and problem() says why. Throws Error(io) when
  /// the disk is full or too many files are open. A file that another user made is opened
  /// read-only; a link is not followed. `lock`: replaced by tests.
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
