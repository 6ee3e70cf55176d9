#include "c_abi/log.h"

#include <mutex>

namespace bitaxon::c {
namespace {

struct Log {
  bitaxon_log_fn function = nullptr;
  void* user = nullptr;
};

std::mutex mutex;
Log current;

}  // namespace

void set_log(bitaxon_log_fn log, void* user) {
  const std::lock_guard lock(mutex);
  current = {log, user};
}

void log_lines(std::int32_t level, const std::vector<std::string>& lines) {
  // The function is called without the lock, so that it may call the library.
  const Log log = [] {
    const std::lock_guard lock(mutex);
    return current;
  }();
  if (log.function == nullptr) return;
  for (const std::string& line : lines) log.function(log.user, level, line.c_str(), line.size());
}

}  // namespace bitaxon::c
