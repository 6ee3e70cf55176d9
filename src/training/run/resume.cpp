#include "training/run/resume.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "bitaxon/error.h"
#include "platform/printable.h"
#include "training/run/run_folder.h"

namespace bitaxon {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail(ErrorKind kind, const fs::path& path, std::string_view what) {
  throw Error(kind, fmt::format("{}: {}", printable_path(path.string()), what));
}

/// Whether two paths name the same folder.
bool is_same(const fs::path& a, const fs::path& b) {
  std::error_code error;
  return fs::equivalent(a, b, error) && !error;
}

std::string value_text(const Json& settings, const std::string& key) {
  const auto found = settings.find(key);
  return found == settings.end() || found->is_null() ? "none" : printable_json(*found);
}

}  // namespace

std::optional<FoundCheckpoint> find_checkpoint(const fs::path& named) {
  const fs::path path = named.has_filename() ? named : named.parent_path();  // "name/"
  if (fs::exists(path / kAdapterFile) || fs::exists(path / kStateFile))
    return FoundCheckpoint{path, read_checkpoint(path), {}};
  std::vector<std::int64_t> steps = checkpoint_steps(path);
  std::vector<std::string> damaged;
  for (auto step = steps.rbegin(); step != steps.rend(); ++step) {
    const fs::path folder = path / checkpoint_name(*step);
    try {
      TrainCheckpoint checkpoint = read_checkpoint(folder);
      // Upstream's folders have the number of micro-batches.
      if (!checkpoint.is_upstreams && checkpoint.state.step != *step)
        fail(ErrorKind::format, folder,
             fmt::format("expected the checkpoint of step {}, got that of step {}", *step,
                         checkpoint.state.step));
      return FoundCheckpoint{folder, std::move(checkpoint), std::move(damaged)};
    } catch (const Error& error) {
      damaged.push_back(error.what());
    }
  }
  if (damaged.empty()) return std::nullopt;
  fail(ErrorKind::format, path,
       fmt::format("expected a readable checkpoint, got only damaged ones: {}", damaged.front()));
}

void refuse_checkpoints(const fs::path& run_folder) {
  const std::vector<std::int64_t> steps = checkpoint_steps(run_folder);
  std::error_code error;
  if (!steps.empty())
    fail(ErrorKind::io, run_folder,
         fmt::format("the folder holds {}; --resume continues it, --output-dir names another",
                     checkpoint_name(steps.back())));
  if (fs::exists(run_folder / "final_adapter.safetensors", error))
    fail(ErrorKind::io, run_folder,
         "the folder holds final_adapter.safetensors of another run; --output-dir names another");
}

void refuse_newer_checkpoints(const fs::path& run_folder, const FoundCheckpoint& from) {
  const std::vector<std::int64_t> steps = checkpoint_steps(run_folder);
  if (steps.empty()) return;
  const bool is_inside = is_same(from.folder.parent_path() / ".", run_folder);
  if (is_inside && from.checkpoint.state.step >= steps.back()) return;
  // find_checkpoint() has read the newer ones, and all of them are damaged.
  if (is_inside && !from.damaged.empty()) return;
  fail(ErrorKind::io, run_folder,
       fmt::format("the folder holds {}, which {} does not lead to; --output-dir names another",
                   checkpoint_name(steps.back()), printable_path(from.folder.string())));
}

std::string compare_settings(const Json& old, const Json& now,
                             std::span<const std::string_view> fixed) {
  std::vector<std::string> changes;
  for (const auto& [key, value] : now.items()) {
    const auto before = old.find(key);
    if (before == old.end() ? value.is_null() : *before == value) continue;
    if (std::ranges::find(fixed, key) != fixed.end())
      throw Error(ErrorKind::invalid_argument,
                  fmt::format("--{}: expected {}, with which the run began, got {}", key,
                              value_text(old, key), value_text(now, key)));
    changes.push_back(fmt::format("--{} {} (was {})", printable(key), value_text(now, key),
                                  value_text(old, key)));
  }
  return changes.empty() ? "" : fmt::format("changed settings: {}", fmt::join(changes, ", "));
}

}  // namespace bitaxon
