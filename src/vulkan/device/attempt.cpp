#include "vulkan/device/attempt.h"

#include <fmt/format.h>

#include <chrono>
#include <filesystem>
#include <thread>

#include "bitaxon/error.h"

namespace bitaxon::vulkan {
namespace {

// What a note says: the number of runs that have not come back.
constexpr const char* kNone = "0\n";
constexpr const char* kOne = "1\n";
constexpr const char* kTwo = "2\n";

}  // namespace

Attempt::Attempt(const PipelineCache& notes, std::string_view what, std::string_view variant)
    : notes_(notes), note_(fmt::format("{}-{}", what, variant)) {
  const std::string count = notes.read_note(note_);
  if (count == kTwo)
    refusal_ = fmt::format("two earlier runs ended in the {} of {} ({} in the cache folder)", what,
                           variant, notes.note_file(note_).filename().string());
  else
    notes.write_note(note_, count == kOne ? kTwo : kOne);
}

void Attempt::end() const noexcept { notes_.write_note(note_, kNone); }

void Attempt::give_up() const noexcept { notes_.write_note(note_, kTwo); }

std::optional<FileLock> wait_for_turn(const PipelineCache& notes) {
  using namespace std::chrono_literals;
  const std::filesystem::path file = notes.note_file("lock");
  if (file.empty()) return std::nullopt;
  std::error_code ignored;
  std::filesystem::create_directories(file.parent_path(), ignored);
  const auto end = std::chrono::steady_clock::now() + 1min;
  try {
    while (std::chrono::steady_clock::now() < end) {
      if (auto lock = FileLock::try_lock(file)) return lock;
      std::this_thread::sleep_for(20ms);
    }
  } catch (const Error&) {
    // A problem with the cache folder is no error.
  }
  return std::nullopt;
}

}  // namespace bitaxon::vulkan
