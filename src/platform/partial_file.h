// A file that may take several runs of the program to complete.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

namespace bitaxon {

/// A file that has a temporary name until publish(). The file stays when the object is destroyed,
/// so that the next run can continue it. Only one process may use the file. The caller holds a lock
/// if the file system has locks.
class PartialFile {
 public:
  /// Opens the file, or creates an empty one. A file that this user may not write is replaced by a
  /// copy. Throws Error(io) if the file cannot be opened, or if it is a link, a folder or a device.
  explicit PartialFile(std::filesystem::path path);
  PartialFile(const PartialFile&) = delete;
  PartialFile& operator=(const PartialFile&) = delete;
  ~PartialFile();

  const std::filesystem::path& path() const { return path_; }
  std::uint64_t size_bytes() const { return size_bytes_; }
  /// Appends bytes. Throws Error(io) when the system cannot write, for example on a full disk.
  /// size_bytes() then counts the bytes written so far. Throws Error(io) also when the file does
  /// not have the size size_bytes(). Without locks, another process may have written to the file.
  void append(std::span<const std::byte> bytes);
  /// Empties the file.
  void clear();
  /// Flushes the file to the disk, renames it to `target`, and flushes the folder of `target`,
  /// which must be on the same file system. Throws Error(io).
  void publish(const std::filesystem::path& target);

 private:
  void expect_own_size() const;

  std::filesystem::path path_;
  int fd_ = -1;
  std::uint64_t size_bytes_ = 0;
};

}  // namespace bitaxon
