// System calls that some file systems do not have.
#pragma once

#include <sys/file.h>
#include <unistd.h>

namespace bitaxon::hub {

/// The system's, unless a test puts others in their place.
struct DiskCalls {
  int (*flock)(int descriptor, int operation) = ::flock;
  int (*symlink)(const char* target, const char* path) = ::symlink;
};

}  // namespace bitaxon::hub
