#include "platform/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <random>
#include <utility>

#include "bitaxon/error.h"
#include "platform/printable.h"

namespace bitaxon {
namespace {

[[noreturn]] void throw_errno(const std::string& name, const char* what) {
  const int error = errno;
  throw Error(ErrorKind::io,
              fmt::format("{}: {}: {}", printable_path(name), what, std::strerror(error)));
}

/// False, with errno, when the system refuses.
bool write_all(int fd, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t put = ::write(fd, bytes.data(), std::min(bytes.size(), std::size_t{1} << 30));
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return false;
    bytes = bytes.subspan(static_cast<std::size_t>(put));
  }
  return true;
}

}  // namespace

File File::open(const std::filesystem::path& path) {
  // O_NONBLOCK: opening a pipe nobody writes to must not hang; it is refused below.
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) throw_errno(path.string(), "cannot open");
  File file(fd, path.string(), 0);
  struct stat status {};
  if (::fstat(fd, &status) != 0) throw_errno(path.string(), "cannot stat");
  if (!S_ISREG(status.st_mode))
    throw Error(ErrorKind::io,
                fmt::format("{}: expected a regular file, got {}", printable_path(path.string()),
                            S_ISDIR(status.st_mode)    ? "a directory"
                            : S_ISFIFO(status.st_mode) ? "a pipe"
                                                       : "a special file"));
  file.size_bytes_ = static_cast<std::uint64_t>(status.st_size);
  return file;
}

File::File(File&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      name_(std::move(other.name_)),
      size_bytes_(other.size_bytes_) {}

File& File::operator=(File&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(name_, other.name_);
  std::swap(size_bytes_, other.size_bytes_);
  return *this;
}

File::~File() {
  if (fd_ >= 0) ::close(fd_);
}

void File::read_at(std::uint64_t offset, std::span<std::byte> out) const {
  std::size_t done = 0;
  while (done < out.size()) {
    // The kernel caps one read at 2 GiB; asking for less keeps the loop simple.
    const std::size_t want = std::min(out.size() - done, std::size_t{1} << 30);
    const ssize_t got = ::pread(fd_, out.data() + done, want, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw_errno(name_, "cannot read");
    if (got == 0)
      throw Error(ErrorKind::io,
                  fmt::format("{}: expected {} bytes at byte {}, the file ends at {}",
                              printable_path(name_), out.size(), offset, offset + done));
    done += static_cast<std::size_t>(got);
  }
}

void File::forget(std::uint64_t offset, std::uint64_t size) const noexcept {
  ::posix_fadvise(fd_, static_cast<off_t>(offset), static_cast<off_t>(size), POSIX_FADV_DONTNEED);
}

std::string read_whole_file(const std::filesystem::path& path, std::uint64_t max_bytes) {
  const File file = File::open(path);
  if (file.size_bytes() > max_bytes)
    throw Error(ErrorKind::io,
                fmt::format("{}: expected at most {} bytes, got {}", printable_path(path.string()),
                            max_bytes, file.size_bytes()));
  std::string text(static_cast<std::size_t>(file.size_bytes()), '\0');
  file.read_at(0, std::as_writable_bytes(std::span(text)));
  return text;
}

void write_standard_output(std::string_view text) {
  if (!write_all(STDOUT_FILENO, std::as_bytes(std::span(text))))
    throw_errno("stdout", "cannot write");
}

std::string file_target_problem(const std::filesystem::path& path) {
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (path.filename().empty() || std::filesystem::is_directory(status)) return "a directory";
  if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status))
    return "a pipe or a device";
  return {};
}

AtomicFolder::AtomicFolder(std::filesystem::path path) : path_(std::move(path)) {
  std::error_code ignored;  // what the system refuses is an error when the folder is made
  if (!path_.has_filename()) path_ = path_.parent_path();  // "name/"
  const auto status = std::filesystem::symlink_status(path_, ignored);
  const bool is_free =
      !std::filesystem::exists(status) ||
      (std::filesystem::is_directory(status) && std::filesystem::is_empty(path_, ignored));
  if (!is_free)
    throw Error(
        ErrorKind::io,
        fmt::format("{}: expected a folder that is new or empty, got {}",
                    printable_path(path_.string()),
                    std::filesystem::is_directory(status) ? "one with files" : "something else"));
  if (path_.has_parent_path()) std::filesystem::create_directories(path_.parent_path(), ignored);
  std::random_device random;
  int result = 0;
  do {
    temporary_ = fmt::format("{}.{:08x}.tmp", path_.string(), random());
    result = ::mkdir(temporary_.c_str(), 0777);
  } while (result < 0 && errno == EEXIST);
  if (result < 0) {
    const std::filesystem::path wanted = std::exchange(temporary_, {});
    throw_errno(wanted.string(), "cannot make the folder");
  }
}

AtomicFolder::~AtomicFolder() {
  std::error_code ignored;
  if (!temporary_.empty()) std::filesystem::remove_all(temporary_, ignored);
}

void AtomicFolder::commit() {
  // An empty folder of this name is replaced.
  if (::rename(temporary_.c_str(), path_.c_str()) != 0)
    throw_errno(path_.string(), "cannot rename a folder to it");
  temporary_.clear();
}

AtomicFile::AtomicFile(std::filesystem::path path) : path_(std::move(path)) {
  if (const auto problem = file_target_problem(path_); !problem.empty())
    throw Error(ErrorKind::io, fmt::format("{}: expected a file name, got {}",
                                           printable_path(path_.string()), problem));
  std::error_code ignored;  // what the system refuses is an error when the file is made
  // Through a link its target is replaced, not the link.
  if (std::filesystem::is_symlink(path_, ignored))
    path_ = std::filesystem::weakly_canonical(path_, ignored);
  // Not mkostemp: its files are private, and what we publish gets the permissions of any new file.
  std::random_device random;
  do {
    temporary_ = fmt::format("{}.{:08x}.tmp", path_.string(), random());
    fd_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  } while (fd_ < 0 && errno == EEXIST);
  if (fd_ < 0) throw_errno(path_.string(), "cannot create a file beside it");
}

AtomicFile::~AtomicFile() {
  if (fd_ < 0) return;
  ::close(fd_);
  ::unlink(temporary_.c_str());
}

void AtomicFile::write(std::span<const std::byte> bytes) {
  if (!write_all(fd_, bytes)) throw_errno(path_.string(), "cannot write");
}

void AtomicFile::write_at(std::uint64_t offset, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t put = ::pwrite(fd_, bytes.data(), std::min(bytes.size(), std::size_t{1} << 30),
                                 static_cast<off_t>(offset));
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) throw_errno(path_.string(), "cannot write");
    bytes = bytes.subspan(static_cast<std::size_t>(put));
    offset += static_cast<std::uint64_t>(put);
  }
}

void AtomicFile::write(std::string_view text) { write(std::as_bytes(std::span(text))); }

void AtomicFile::commit() {
  if (::fsync(fd_) != 0 && errno != EINVAL) throw_errno(path_.string(), "cannot flush");
  if (::rename(temporary_.c_str(), path_.c_str()) != 0)
    throw_errno(path_.string(), "cannot rename");
  ::close(fd_);
  fd_ = -1;
}

}  // namespace bitaxon
