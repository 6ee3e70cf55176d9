// A temporary folder for the files of one test.
#pragma once

#include <filesystem>
#include <string_view>

namespace bitaxon::test {

/// Creates a new folder inside the system's temporary folder. The destructor removes the new
/// folder.
class TemporaryFolder {
 public:
  TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder();

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(std::string_view name) const { return path_ / name; }
  /// Writes a file, creates the folders above it if necessary, and returns the path of the file.
  std::filesystem::path write(std::string_view name, std::string_view content) const;

 private:
  std::filesystem::path path_;
};

}  // namespace bitaxon::test
