#include "pipeline/pipeline_folder.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "bitaxon/error.h"
#include "formats/json_file.h"
#include "platform/file.h"
#include "platform/optional_file.h"
#include "platform/printable.h"

namespace bitaxon::tool {
namespace {

namespace fs = std::filesystem;

constexpr const char* kLock = ".lock";

[[noreturn]] void fail(const fs::path& path, const std::string& what) {
  throw Error(ErrorKind::io, fmt::format("{}: {}", printable_path(path.string()), what));
}

void make_folder(const fs::path& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error) fail(path, fmt::format("cannot make the folder: {}", error.message()));
}

/// The first file of a folder that is not the lock; empty if there is none.
std::string other_file(const fs::path& folder) {
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error))
    if (it->path().filename() != kLock) return it->path().filename().string();
  if (error) fail(folder, fmt::format("cannot list the folder: {}", error.message()));
  return {};
}

/// The step of an object of the state. Empty if the object is not one.
std::optional<FinishedStep> parse_step(const Json& json) {
  const auto is = [&](const char* key, auto fits) {
    return json.contains(key) && (json[key].*fits)();
  };
  if (!json.is_object() || !is("name", &Json::is_string) || !is("command", &Json::is_string) ||
      !is("seconds", &Json::is_number) || !is("metrics", &Json::is_object))
    return std::nullopt;
  return FinishedStep{json["name"].get<std::string>(), json["command"].get<std::string>(),
                      json["seconds"].get<double>(), json["metrics"]};
}

}  // namespace

PipelineFolder::PipelineFolder(fs::path path) : path_(std::move(path)) {
  make_folder(path_);
  lock_ = FileLock::try_lock(path_ / kLock);
  if (!lock_) fail(path_, "another pipeline uses this folder; --output-dir names another");
  if (optional_file_exists(state_file()))
    read_state();
  else if (const std::string name = other_file(path_); !name.empty())
    fail(path_, fmt::format("expected a new or empty folder, or that of a pipeline, found \"{}\"",
                            printable(name)));
}

bool PipelineFolder::has(std::string_view step) const {
  return std::ranges::find(steps_, step, &FinishedStep::name) != steps_.end();
}

void PipelineFolder::read_state() {
  const Json json = read_json_file(state_file());
  const auto fail_format = [&](const std::string& what) {
    throw Error(ErrorKind::format,
                fmt::format("{}: {}; without the file, --output-dir must name a new folder",
                            printable_path(state_file().string()), what));
  };
  if (!json.is_object() || !json.contains("settings") || !json["settings"].is_object() ||
      !json.contains("steps") || !json["steps"].is_array())
    fail_format("expected an object with \"settings\" and \"steps\"");
  settings_ = json["settings"];
  for (const Json& step : json["steps"]) {
    std::optional<FinishedStep> parsed = parse_step(step);
    if (!parsed) fail_format(fmt::format("expected a step, got {}", printable_json(step)));
    steps_.push_back(*std::move(parsed));
  }
}

void PipelineFolder::write_state() const {
  Json steps = Json::array();
  for (const FinishedStep& step : steps_)
    steps.push_back({{"name", step.name},
                     {"command", step.command},
                     {"seconds", step.seconds},
                     {"metrics", step.metrics}});
  const Json json = {{"settings", settings_}, {"steps", std::move(steps)}};
  write_text_file(state_file(), json.dump(2) + "\n");
}

void PipelineFolder::begin(const Json& settings) {
  make_folder(path_ / "data");
  settings_ = settings;
  write_state();
}

void PipelineFolder::add(FinishedStep step) {
  steps_.push_back(std::move(step));
  write_state();
}

}  // namespace bitaxon::tool
