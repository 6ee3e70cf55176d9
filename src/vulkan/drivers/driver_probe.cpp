// Tries the drivers in another process, which runs the program bit-axon-probe.
#include <fmt/format.h>
#include <signal.h>
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>

#include "bitaxon/error.h"
#include "platform/child_process.h"
#include "platform/paths.h"
#include "platform/printable.h"
#include "vulkan/drivers/driver_files.h"
#include "vulkan/drivers/driver_record.h"
#include "vulkan/drivers/drivers.h"
#include "vulkan/drivers/probe_words.h"

namespace bitaxon::vulkan {
namespace {

using std::filesystem::path;

/// Paths of the probe program. The first is relative to a program in a build tree, the second to a
/// program in the folder bin/ of an installation, and the third to the extension module of the Python
/// package.
constexpr std::array<const char*, 3> kProbePlaces = {"bit-axon-probe", BX_PROBE_FROM_BIN,
                                                     "libexec/bit-axon-probe"};
/// The number of seconds without output after which a driver counts as hanging. It is large,
/// because some drivers wake up several GPUs, one after the other, before they answer.
constexpr int kDefaultPatienceSeconds = 30;

/// Reads an environment variable. Returns "" if it is not set, or if this program runs with another
/// user's rights.
std::string variable(const char* name) {
  const char* value = ::secure_getenv(name);
  return value == nullptr ? "" : value;
}

/// The path of the probe program: the path in BIT_AXON_PROBE if this variable is set, else the path
/// of the probe next to this library or program. Empty if there is no probe. The library comes
/// first: another release may be installed next to the program.
path probe_program() {
  if (const std::string named = variable("BIT_AXON_PROBE"); !named.empty()) return named;
  for (const path& module : {module_path(), executable_path()})
    for (const char* place : kProbePlaces) {
      const path program = (module.parent_path() / place).lexically_normal();
      std::error_code ignored;
      if (!module.empty() && std::filesystem::is_regular_file(program, ignored)) return program;
    }
  return {};
}

std::chrono::seconds patience() {
  const std::string text = variable("BIT_AXON_PROBE_SECONDS");
  if (text.empty()) return std::chrono::seconds(kDefaultPatienceSeconds);
  int seconds = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (error != std::errc() || stop != text.data() + text.size() || seconds <= 0)
    throw Error(ErrorKind::invalid_argument,
                fmt::format("BIT_AXON_PROBE_SECONDS: expected a whole number of seconds > 0, got "
                            "\"{}\"",
                            printable(text)));
  return std::chrono::seconds(seconds);
}

/// The last line of `text` that is not empty.
std::string last_line(const std::string& text) {
  const std::size_t end = text.find_last_not_of(" \t\r\n");
  if (end == std::string::npos) return "";
  const std::size_t begin = text.find_last_of('\n', end);
  return text.substr(begin == std::string::npos ? 0 : begin + 1,
                     end - (begin == std::string::npos ? 0 : begin + 1) + 1);
}

/// Whether a signal normally comes from outside the process. Such a signal says nothing about a
/// driver.
bool is_from_outside(int signal) {
  return signal == SIGKILL || signal == SIGTERM || signal == SIGINT || signal == SIGHUP;
}

/// A text that says what a driver did to the probe process. Empty if the process ended normally.
std::string problem_of(const ChildEnd& end, std::chrono::seconds waited) {
  const std::string stage = last_line(end.out);
  if (stage.starts_with(kProbeFails) && end.signal == 0 && !end.was_silent)
    return printable(stage, 1000);
  const bool done = stage == kProbeDone;
  if (done && end.signal == 0 && !end.was_silent) return "";
  std::string problem;
  if (end.was_silent)
    problem = fmt::format("it hangs (no answer in {} s)", waited.count());
  else if (is_from_outside(end.signal))
    problem = fmt::format("the program that tried it was killed ({})", ::strsignal(end.signal));
  else if (end.signal != 0)
    problem = fmt::format("it crashes ({})", ::strsignal(end.signal));
  else if (end.exit_status)
    problem = fmt::format("it ends the program (exit status {})", *end.exit_status);
  else
    problem = "it ends the program";
  problem += done ? " when the program ends" : " while " + printable(stage);
  if (const std::string words = last_line(end.err); !words.empty())
    problem += fmt::format(", saying \"{}\"", printable(words, 200));
  return problem;
}

int device_count(const std::string& out) {
  int n = 0;
  const std::size_t at = out.find(kProbeCount);
  if (at != std::string::npos)
    std::from_chars(out.data() + at + kProbeCount.size(), out.data() + out.size(), n);
  return n;
}

/// The exception for a probe program that does not work.
struct ProbeFails {
  std::string problem;
};

/// Runs the probe program to try drivers.
class Probe {
 public:
  explicit Probe(path program) : program_(std::move(program)) {}

  /// Makes one try. Throws ProbeFails if the program ends before it loads a driver.
  TrialResult operator()(const DriverTrial& trial) {
    const EnvironmentChanges changes = loader_settings(trial.manifests, trial.with_layers);
    ChildEnd end;
    try {
      end = run_child(program_, {}, environment_with(changes), patience_);
    } catch (const Error& error) {
      throw ProbeFails{error.what()};
    }
    if (!end.out.starts_with(kProbeStarts))
      throw ProbeFails{fmt::format("{} does not work{}", printable_path(program_.string()),
                                   end.err.empty() ? "" : ": " + printable(last_line(end.err)))};
    // After a signal from outside or a lack of memory, the next try may succeed.
    if (is_from_outside(end.signal) || last_line(end.out).starts_with(kProbeFails))
      lasting_ = false;
    const TrialResult result{problem_of(end, patience_), device_count(end.out)};
    // The first try has woken up all GPUs, so later tries answer sooner and get less time.
    patience_ = std::min(patience_, later_patience_);
    return result;
  }

  /// Whether the results would be the same in another run, so that they may be kept.
  bool lasting() const { return lasting_; }

 private:
  path program_;
  std::chrono::seconds patience_ = patience();
  const std::chrono::seconds later_patience_ = std::max(patience_ / 3, std::chrono::seconds(1));
  bool lasting_ = true;
};

Drivers trusted(const std::string& problem) {
  Drivers drivers;
  drivers.warning = fmt::format(
      "Vulkan drivers have not been tried, and one that crashes ends the program: {}", problem);
  return drivers;
}

std::string hash_of(const std::string& text) {
  const XXH128_hash_t hash = XXH3_128bits(text.data(), text.size());
  return fmt::format("{:016x}{:016x}", hash.high64, hash.low64);
}

Drivers try_all(const path& program, const std::vector<path>& manifests, const path& record,
                const std::string& key) try {
  Probe probe(program);
  const Drivers drivers = sort_out_drivers(manifests, std::ref(probe));
  if (!record.empty() && probe.lasting()) write_record(record, key, drivers);
  return drivers;
} catch (const ProbeFails& failure) {
  return trusted(failure.problem);
}

}  // namespace

Drivers usable_drivers(const path& cache_dir) {
  if (variable("BIT_AXON_PROBE") == "off") return {};
  const path program = probe_program();
  if (program.empty())
    return trusted("the program bit-axon-probe is not installed beside this one");
  static std::mutex mutex;
  static std::map<std::string, Drivers> found;  // earlier results, by key
  const std::lock_guard lock(mutex);
  const std::vector<path> manifests = driver_manifests();
  const std::string key = hash_of(driver_circumstances(manifests));
  if (const auto known = found.find(key); known != found.end()) return known->second;
  const path record = cache_dir.empty() ? path() : cache_dir / "vulkan-drivers.json";
  std::optional<Drivers> kept = record.empty() ? std::nullopt : read_record(record, key);
  if (!kept) kept = try_all(program, manifests, record, key);
  return found.emplace(key, *std::move(kept)).first->second;
}

}  // namespace bitaxon::vulkan
