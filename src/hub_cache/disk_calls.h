// System calls that some file systems do not support.
#pragma once

#include <sys/file.h>
#include <unistd.h>

#include <filesystem>
#include <system_error>

namespace bitaxon::hub {

/// By default the members call the system. Tests replace them.
struct DiskCalls {
  int (*flock)(int descriptor, int operation) = ::flock;
  int (*symlink)(const char* target, const char* path) = ::symlink;
  std::filesystem::space_info (*space)(const std::filesystem::path& path, std::error_code& error) =
      [](const std::filesystem::path& path, std::error_code& error) {
        return std::filesystem::space(path, error);
      };
};

}  // namespace bitaxon::hub
