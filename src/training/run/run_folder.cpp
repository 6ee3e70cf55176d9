#include "training/run/run_folder.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <random>
#include <system_error>

#include "bitaxon/error.h"
#include "platform/file.h"
#include "platform/printable.h"
#include "platform/sync.h"
#include "training/run/checkpoint_files.h"

namespace bitaxon {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPrefix = "step_";

[[noreturn]] void fail(const fs::path& path, std::string_view what, const std::error_code& error) {
  throw Error(ErrorKind::io,
              fmt::format("{}: {}: {}", printable_path(path.string()), what, error.message()));
}

std::optional<std::int64_t> step_of(const std::string& name) {
  constexpr std::size_t kDigits = 8;
  if (!name.starts_with(kPrefix) || name.size() < kPrefix.size() + kDigits) return std::nullopt;
  std::int64_t step = -1;
  const char* end = name.data() + name.size();
  const auto parsed = std::from_chars(name.data() + kPrefix.size(), end, step);
  const bool is_number = parsed.ec == std::errc() && parsed.ptr == end && step >= 0;
  // Another spelling of the number is not the folder that the number names.
  if (!is_number || checkpoint_name(step) != name) return std::nullopt;
  return step;
}

/// Whether the name is one of temporary_for(), or one that replace_folder() makes of it.
bool is_temporary(std::string name) {
  constexpr std::string_view kEnd = ".tmp", kOld = ".old";
  if (name.ends_with(kOld)) name.resize(name.size() - kOld.size());
  constexpr std::size_t kHexDigits = 8;
  if (!name.starts_with('.') || !name.ends_with(kEnd)) return false;
  const std::string_view inner = std::string_view(name).substr(1, name.size() - 1 - kEnd.size());
  const std::size_t dot = inner.rfind('.');
  if (dot == std::string_view::npos || inner.size() - dot - 1 != kHexDigits) return false;
  if (inner.find_first_not_of("0123456789abcdef", dot + 1) != std::string_view::npos) return false;
  const std::string target(inner.substr(0, dot));
  return target == "best" || step_of(target).has_value();
}

std::vector<fs::path> entries_of(const fs::path& folder, std::error_code& error) {
  std::vector<fs::path> entries;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error))
    entries.push_back(it->path());
  return entries;
}

FileLock locked(const fs::path& folder) {
  std::optional<FileLock> lock = FileLock::try_lock(folder / ".lock");
  if (!lock)
    throw Error(ErrorKind::io, fmt::format("{}: another run uses this folder; --output-dir names "
                                           "another",
                                           printable_path(folder.string())));
  // Without locks, as on some network file systems, nothing can be said about another run. A folder
  // that cannot be written is found when the first file is written.
  return *std::move(lock);
}

}  // namespace

std::string checkpoint_name(std::int64_t step) { return fmt::format("{}{:08}", kPrefix, step); }

std::vector<std::int64_t> checkpoint_steps(const fs::path& folder) {
  std::error_code error;
  std::vector<std::int64_t> steps;
  for (const fs::path& entry : entries_of(folder, error))
    if (const auto step = step_of(entry.filename().string()); step && fs::is_directory(entry))
      steps.push_back(*step);
  if (error && error != std::errc::no_such_file_or_directory)
    fail(folder, "cannot list the folder", error);
  std::ranges::sort(steps);
  return steps;
}

RunFolder::RunFolder(fs::path path) : path_(std::move(path)) {
  std::error_code error;
  fs::create_directories(path_, error);
  if (error && !fs::is_directory(path_)) fail(path_, "cannot make the folder", error);
  lock_ = locked(path_);
  remove_leftovers();
}

std::vector<std::int64_t> RunFolder::steps() const { return checkpoint_steps(path_); }

fs::path RunFolder::step_folder(std::int64_t step) const { return path_ / checkpoint_name(step); }

fs::path RunFolder::temporary_for(const fs::path& target) const {
  std::random_device random;
  fs::path path;
  do path = path_ / fmt::format(".{}.{:08x}.tmp", target.filename().string(), random());
  while (fs::exists(path));
  return path;
}

void RunFolder::remove_leftovers() const {
  std::error_code error;
  // This run holds the lock of the folder, so no other process writes these files.
  const std::array files = {adapter_file().filename().string(), metrics_file().filename().string(),
                            std::string(kAdapterConfigFile)};
  for (const fs::path& entry : entries_of(path_, error)) {
    const fs::path name = entry.filename();
    const bool is_file = std::ranges::any_of(
        files, [&](const std::string& file) { return is_temporary_of(name, file); });
    if (is_file || is_temporary(name.string())) fs::remove_all(entry, error);
  }
}

void RunFolder::remove(const fs::path& folder) const {
  // A folder that is half removed must not have the name of a checkpoint.
  const fs::path temporary = temporary_for(folder);
  std::error_code error;
  fs::rename(folder, temporary, error);
  if (error) fail(folder, "cannot remove the checkpoint", error);
  fs::remove_all(temporary, error);
  if (error) fail(temporary, "cannot remove the folder", error);
}

void RunFolder::put(const fs::path& target,
                    const std::function<void(const fs::path& folder)>& write) {
  const fs::path temporary = temporary_for(target);
  std::error_code error;
  fs::create_directory(temporary, error);
  if (error) fail(temporary, "cannot make the folder", error);
  try {
    write(temporary);
    sync_tree(temporary);
    replace_folder(temporary, target);
  } catch (...) {
    fs::remove_all(temporary, error);
    throw;
  }
  fs::remove_all(temporary, error);  // what had the name before
  sync_folder(path_);
}

void RunFolder::prune(std::int64_t newest, std::int64_t n_kept) {
  std::vector<std::int64_t> steps = this->steps();
  std::erase_if(steps, [&](std::int64_t step) { return step > newest; });
  const auto n_removed = std::max<std::int64_t>(std::ssize(steps) - n_kept, 0);
  for (std::int64_t i = 0; i < n_removed; ++i)
    remove(step_folder(steps[static_cast<std::size_t>(i)]));
}

}  // namespace bitaxon
