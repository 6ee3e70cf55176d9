#include "platform/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <random>
#include <utility>

#include "bitaxon/error.h"
#include "platform/optional_file.h"
#include "platform/printable.h"
#include "platform/sync.h"

namespace bitaxon {
namespace {

[[noreturn]] void throw_errno(const std::string& name, const char* what) {
  const int error = errno;
  throw Error(ErrorKind::io,
              fmt::format("{}: {}: {}", printable_path(name), what, std::strerror(error)));
}

/// Writes all bytes. Returns false, with errno set, when the system refuses.
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
  // O_NONBLOCK, because opening a pipe without a writer must not hang. Pipes are refused below.
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) {
    const int error = errno;
    refuse_broken_link(path);
    errno = error;
    throw_errno(path.string(), "cannot open");
  }
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
    // The kernel limits one read to 2 GiB. Asking for less keeps the loop simple.
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

void File::read_ahead(std::uint64_t offset, std::uint64_t size) const noexcept {
  // The file is divided into pieces of 32 MiB. When a piece begins within these bytes, this
  // function requests the piece after it. So no piece is requested twice.
  constexpr std::uint64_t kPiece = std::uint64_t{32} << 20;
  const std::uint64_t begun = (offset + kPiece - 1) / kPiece;
  const std::uint64_t end = (offset + size + kPiece - 1) / kPiece;
  if (begun < end)
    ::posix_fadvise(fd_, static_cast<off_t>((begun + 1) * kPiece),
                    static_cast<off_t>((end - begun) * kPiece), POSIX_FADV_WILLNEED);
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

std::string file_target_problem(const std::filesystem::path& path) {
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (path.filename().empty() || std::filesystem::is_directory(status)) return "a directory";
  if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status))
    return "a pipe or a device";
  return {};
}

namespace {

namespace fs = std::filesystem;

bool is_mount_point(const fs::path& folder) {
  struct statx status {};
  if (::statx(AT_FDCWD, folder.c_str(), AT_SYMLINK_NOFOLLOW, 0, &status) != 0) return false;
  return (status.stx_attributes & status.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT) != 0;
}

/// Why no folder can get the name `path`. Empty when no reason is known before an attempt.
std::string folder_target_problem(const fs::path& path) {
  std::error_code ignored;
  // A folder cannot be renamed to "." or "..".
  if (path.filename() == "." || path.filename() == "..") return "a path that ends in . or ..";
  const auto status = fs::symlink_status(path, ignored);
  if (!fs::exists(status)) return "";
  if (!fs::is_directory(status)) return "something else";
  if (!fs::is_empty(path, ignored)) return "one with files";
  return is_mount_point(path) ? "a mount point" : "";
}

/// A file descriptor that holds the lock on a folder. -1 with errno set when another process holds
/// the lock or the folder cannot be locked.
int lock_folder(const fs::path& folder) {
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd >= 0 && ::flock(fd, LOCK_EX | LOCK_NB) == 0) return fd;
  const int error = errno;
  if (fd >= 0) ::close(fd);
  errno = error;
  return -1;
}

/// Removes temporary folders of processes that have ended. Running processes hold locks on their
/// folders.
void remove_abandoned(const fs::path& path) {
  std::error_code ignored;
  const fs::path folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
  for (fs::directory_iterator it(folder, ignored), end; !ignored && it != end;
       it.increment(ignored)) {
    if (!is_temporary_of(it->path().filename(), path.filename().string())) continue;
    const int lock = lock_folder(it->path());
    if (lock < 0) continue;
    std::error_code not_ours;
    fs::remove_all(it->path(), not_ours);
    ::close(lock);
  }
}

/// Makes a folder and locks it. Returns false when the folder exists already, or when another
/// process removed the new folder as abandoned before it was locked.
bool make_locked_folder(const fs::path& folder, int& lock) {
  if (::mkdir(folder.c_str(), 0777) != 0) {
    if (errno == EEXIST) return false;
    throw_errno(folder.string(), "cannot make the folder");
  }
  lock = lock_folder(folder);
  // On a file system without locks no process removes folders as abandoned.
  std::error_code ignored;
  const bool is_taken = lock < 0 && (errno == EWOULDBLOCK || errno == ENOENT);
  if (!is_taken && fs::exists(folder, ignored)) return true;
  if (lock >= 0) ::close(std::exchange(lock, -1));
  return false;
}

}  // namespace

bool is_temporary_of(const fs::path& file_name, const std::string& name) {
  const std::string text = file_name.string();
  if (text.size() != name.size() + 13 || !text.starts_with(name + ".") || !text.ends_with(".tmp"))
    return false;
  return text.find_first_not_of("0123456789abcdef", name.size() + 1) == name.size() + 9;
}

AtomicFolder::AtomicFolder(std::filesystem::path path) : path_(std::move(path)) {
  if (!path_.has_filename()) path_ = path_.parent_path();  // "name/"
  if (const std::string problem = folder_target_problem(path_); !problem.empty())
    throw Error(ErrorKind::io, fmt::format("{}: expected a folder that is new or empty, got {}",
                                           printable_path(path_.string()), problem));
  std::error_code error;
  const fs::path parent = path_.parent_path();
  if (!parent.empty()) fs::create_directories(parent, error);
  if (error)
    throw Error(ErrorKind::io, fmt::format("{}: cannot make the folder: {}",
                                           printable_path(parent.string()), error.message()));
  remove_abandoned(path_);
  std::random_device random;
  fs::path wanted;
  do wanted = fmt::format("{}.{:08x}.tmp", path_.string(), random());
  while (!make_locked_folder(wanted, lock_));
  temporary_ = wanted;
}

AtomicFolder::~AtomicFolder() {
  std::error_code ignored;
  if (!temporary_.empty()) std::filesystem::remove_all(temporary_, ignored);
  if (lock_ >= 0) ::close(lock_);
}

void AtomicFolder::commit() {
  sync_tree(temporary_);
  // rename() replaces an empty folder of this name.
  if (::rename(temporary_.c_str(), path_.c_str()) != 0)
    throw_errno(path_.string(), "cannot rename a folder to it");
  temporary_.clear();
  sync_parent(path_);
}

AtomicFile::AtomicFile(std::filesystem::path path) : path_(std::move(path)) {
  if (const auto problem = file_target_problem(path_); !problem.empty())
    throw Error(ErrorKind::io, fmt::format("{}: expected a file name, got {}",
                                           printable_path(path_.string()), problem));
  std::error_code ignored;  // a real problem is reported when the file is created
  // If the path is a symbolic link, its target is replaced and the link stays.
  if (std::filesystem::is_symlink(path_, ignored))
    path_ = std::filesystem::weakly_canonical(path_, ignored);
  // mkostemp() would make a private file. This file needs the usual permissions of a new file.
  std::random_device random;
  do {
    temporary_ = fmt::format("{}.{:08x}.tmp", path_.string(), random());
    fd_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  } while (fd_ < 0 && errno == EEXIST);
  if (fd_ < 0) throw_errno(path_.string(), "cannot create a temporary file next to it");
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
  ::close(std::exchange(fd_, -1));
  sync_parent(path_);
}

void write_text_file(const fs::path& path, std::string_view text) {
  AtomicFile file(path);
  file.write(text);
  file.commit();
}

}  // namespace bitaxon
