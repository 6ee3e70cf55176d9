// Files: positioned reads, and new files that get their name only when they are complete.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace bitaxon {

/// A regular file open for reading. Reads are positioned and copy the bytes. The file is not
/// mapped: a mapping would raise SIGBUS when the file is truncated, while a read reports an error.
/// Several threads may read at once.
class File {
 public:
  /// Throws Error(io) when the path is missing, unreadable, a directory, a pipe or a device.
  static File open(const std::filesystem::path& path);
  File(File&& other) noexcept;
  File& operator=(File&& other) noexcept;
  ~File();

  const std::string& name() const { return name_; }
  /// Size when the file was opened.
  std::uint64_t size_bytes() const { return size_bytes_; }
  /// Fills `out` with the bytes from `offset` on. Throws Error(io) when the file ends before `out`
  /// is full.
  void read_at(std::uint64_t offset, std::span<std::byte> out) const;
  /// Tells the system that these bytes will be read next, and later bytes soon. The disk can then
  /// read ahead while these bytes are processed.
  void read_ahead(std::uint64_t offset, std::uint64_t size) const noexcept;
  /// Tells the system that these bytes will not be read again, so that a model larger than the page
  /// cache does not evict files that other programs use.
  void forget(std::uint64_t offset, std::uint64_t size) const noexcept;

 private:
  File(int fd, std::string name, std::uint64_t size_bytes)
      : fd_(fd), name_(std::move(name)), size_bytes_(size_bytes) {}

  int fd_ = -1;
  std::string name_;
  std::uint64_t size_bytes_ = 0;
};

/// Reads a whole regular file. Throws Error(io), also when the file is larger than `max_bytes`.
std::string read_whole_file(const std::filesystem::path& path, std::uint64_t max_bytes);

/// Why no file can get the name `path`: it is "a directory" or "a pipe or a device". Empty when no
/// reason is known before an attempt.
std::string file_target_problem(const std::filesystem::path& path);

/// A folder that appears under its name with all its files, or not at all. Temporary folders that
/// killed processes left for the same name are removed.
class AtomicFolder {
 public:
  /// Throws Error(io) when `path` exists and is not an empty folder. Throws Error(io) also for "."
  /// and "..", for a mount point, and when the parent folder is not writable.
  explicit AtomicFolder(std::filesystem::path path);
  AtomicFolder(const AtomicFolder&) = delete;
  AtomicFolder& operator=(const AtomicFolder&) = delete;
  ~AtomicFolder();

  /// The folder to put the files into. It is next to the final folder. Without commit() the
  /// destructor removes it.
  const std::filesystem::path& temporary() const { return temporary_; }
  /// Flushes everything to the disk, renames the folder, and flushes its parent.
  void commit();

 private:
  std::filesystem::path path_;
  std::filesystem::path temporary_;
  int lock_ = -1;  ///< tells other processes that the temporary folder is in use
};

/// Whether a file name is the temporary name that AtomicFile or AtomicFolder uses for `name`, such as
/// "NAME.0123abcd.tmp" for "NAME". A killed process leaves such a file.
bool is_temporary_of(const std::filesystem::path& file_name, const std::string& name);

/// Writes to a temporary file next to `path`. commit() renames it to `path` in one step. Without
/// commit() the destructor removes the temporary file, and `path` stays unchanged.
class AtomicFile {
 public:
  explicit AtomicFile(std::filesystem::path path);
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  ~AtomicFile();

  /// Appends the bytes. Throws Error(io) when the system cannot write, for example on a full disk.
  void write(std::span<const std::byte> bytes);
  void write(std::string_view text);
  /// Writes bytes at `offset`. The next write() still appends after the previous write().
  void write_at(std::uint64_t offset, std::span<const std::byte> bytes);
  /// Flushes the file to the disk, renames it, and flushes the folder that holds it. Throws
  /// Error(io).
  void commit();

 private:
  std::filesystem::path path_;
  std::filesystem::path temporary_;
  int fd_ = -1;
};

/// Writes a file that appears, under its name, when it is complete. Throws Error(io).
void write_text_file(const std::filesystem::path& path, std::string_view text);

}  // namespace bitaxon
