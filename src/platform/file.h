// Files: positioned reads, and writes that appear under their name only when they are complete.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace bitaxon {

/// A regular file open for reading. Reads are positioned and copy (no mapping: a file that is
/// truncated while we hold it is then an error, where a mapping would raise SIGBUS). Reading from
/// several threads is safe.
class File {
 public:
  /// Throws Error(io) when the path is missing, unreadable, a directory, a pipe or a device.
  static File open(const std::filesystem::path& path);
  File(File&& other) noexcept;
  File& operator=(File&& other) noexcept;
  ~File();

  const std::string& name() const { return name_; }
  /// Size when it was opened.
  std::uint64_t size_bytes() const { return size_bytes_; }
  /// Fills `out` from `offset`. Throws Error(io) when the file ends before that.
  void read_at(std::uint64_t offset, std::span<std::byte> out) const;
  /// Tells the system that a file of which these bytes are read next will be read on behind them,
  /// so that the disk works while these are worked with.
  void read_ahead(std::uint64_t offset, std::uint64_t size) const noexcept;
  /// Tells the system that these bytes will not be read again, so that a model larger than the page
  /// cache does not evict what others use.
  void forget(std::uint64_t offset, std::uint64_t size) const noexcept;

 private:
  File(int fd, std::string name, std::uint64_t size_bytes)
      : fd_(fd), name_(std::move(name)), size_bytes_(size_bytes) {}

  int fd_ = -1;
  std::string name_;
  std::uint64_t size_bytes_ = 0;
};

/// The whole of a regular file. Throws Error(io), also when it is larger than `max_bytes`.
std::string read_whole_file(const std::filesystem::path& path, std::uint64_t max_bytes);

/// Why a file cannot be put under this name, as "a directory" or "a pipe or a device"; empty when
/// it can, or when only trying tells.
std::string file_target_problem(const std::filesystem::path& path);

/// A folder that appears under its name with all that was put into it, or not at all. What a killed
/// process left of an earlier try at the same name is removed.
class AtomicFolder {
 public:
  /// Throws Error(io) where there is something already, but for an empty folder, and where nothing
  /// can be put: "." and "..", a mount point, a folder that cannot be written.
  explicit AtomicFolder(std::filesystem::path path);
  AtomicFolder(const AtomicFolder&) = delete;
  AtomicFolder& operator=(const AtomicFolder&) = delete;
  ~AtomicFolder();

  /// Where to put the files; beside the final name, and gone without commit().
  const std::filesystem::path& temporary() const { return temporary_; }
  /// Flushes everything to the disk, renames, and flushes the folder that holds it.
  void commit();

 private:
  std::filesystem::path path_;
  std::filesystem::path temporary_;
  int lock_ = -1;  ///< tells others that the temporary folder's owner lives
};

/// Writes under a temporary name beside `path`; commit() makes it appear under `path` at once.
/// Without commit() the destructor removes the temporary file, and `path` is as it was.
class AtomicFile {
 public:
  explicit AtomicFile(std::filesystem::path path);
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  ~AtomicFile();

  /// Appends. Throws Error(io) on a full disk and the like.
  void write(std::span<const std::byte> bytes);
  void write(std::string_view text);
  /// Writes from `offset` on; where the next write() appends is as it was.
  void write_at(std::uint64_t offset, std::span<const std::byte> bytes);
  /// Flushes to the disk, renames, and flushes the folder that holds it. Throws Error(io).
  void commit();

 private:
  std::filesystem::path path_;
  std::filesystem::path temporary_;
  int fd_ = -1;
};

}  // namespace bitaxon
