// A file that may take several runs of the program to become whole.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

namespace bitaxon {

/// Lies under a temporary name until publish(). What was appended stays there when the object goes,
/// for the next run to continue. One process at a time: the caller holds a lock where there are
/// locks.
class PartialFile {
 public:
  /// Opens what is there, else makes an empty file. What another user left, and only that user may
  /// write, is replaced by a copy. Throws Error(io), also for a link, a folder or a device of this
  /// name.
  explicit PartialFile(std::filesystem::path path);
  PartialFile(const PartialFile&) = delete;
  PartialFile& operator=(const PartialFile&) = delete;
  ~PartialFile();

  const std::filesystem::path& path() const { return path_; }
  std::uint64_t size_bytes() const { return size_bytes_; }
  /// Throws Error(io) on a full disk and the like; size_bytes() counts what has arrived. Throws
  /// also when the file has another size than what arrived: on file systems without locks another
  /// process may write to it.
  void append(std::span<const std::byte> bytes);
  /// Drops everything.
  void clear();
  /// Flushes to the disk, renames to `target`, whose folder is on the same file system, and flushes
  /// that folder. Throws Error(io).
  void publish(const std::filesystem::path& target);

 private:
  void expect_own_size() const;

  std::filesystem::path path_;
  int fd_ = -1;
  std::uint64_t size_bytes_ = 0;
};

}  // namespace bitaxon
