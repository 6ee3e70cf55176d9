// A lock between processes, held through a file of its own.
#pragma once

#include <filesystem>
#include <optional>

namespace bitaxon {

/// Held as long as the object lives; the system ends it with the process. The file stays: removing
/// it would let two others hold locks on two files of one name. Move-only.
class FileLock {
 public:
  /// Empty while another process has it. Throws Error(io) when the file cannot be made; a link is
  /// not followed.
  static std::optional<FileLock> try_lock(const std::filesystem::path& path);
  FileLock(FileLock&& other) noexcept;
  FileLock& operator=(FileLock&& other) noexcept;
  ~FileLock();

 private:
  explicit FileLock(int fd) : fd_(fd) {}

  int fd_ = -1;
};

}  // namespace bitaxon
