#include "doctor/examination.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <regex>

#include "bitaxon/error.h"
#include "bitaxon/memory.h"
#include "bitaxon/session.h"
#include "core/backend.h"
#include "platform/paths.h"
#include "session/device_temperature.h"

namespace bitaxon::tool {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// A prompt of the bundled model: ids that every vocabulary has.
std::vector<std::int32_t> prompt_ids(std::int64_t vocab_size) {
  std::vector<std::int32_t> ids;
  for (std::int64_t i = 0; i < 24; ++i)
    ids.push_back(static_cast<std::int32_t>((7 + 13 * i) % vocab_size));
  return ids;
}

/// A message without the folders of the paths in it.
std::string without_folders(std::string text) {
  if (const std::string home = home_folder().string(); home.size() > 1)
    for (std::size_t at = 0; (at = text.find(home)) != text.npos;)
      text.replace(at, home.size(), "~");
  static const std::regex folders(R"((^|[\s"'(=])[~.]{0,2}/[^\s"':,]*/)");
  return std::regex_replace(text, folders, "$1");
}

/// A file that belongs to this program is missing or damaged.
class FaultyInstallation : public Error {
 public:
  explicit FaultyInstallation(const std::string& message) : Error(ErrorKind::io, message) {}
};

/// The same rule for every part: only what a device reports is a failure of the device.
FailureCause cause_of(const std::exception& error) {
  if (dynamic_cast<const FaultyInstallation*>(&error) != nullptr) return FailureCause::installation;
  const auto* known = dynamic_cast<const Error*>(&error);
  return known != nullptr && known->kind() == ErrorKind::device ? FailureCause::device
                                                                : FailureCause::program;
}

/// The folder of the bundled model.
std::string bundled_model(const ExaminationLengths& lengths) {
  // The report names no folder of the machine, so it cannot name the places that were searched.
  const auto missing = [](std::string_view name) {
    return FaultyInstallation(
        fmt::format("expected the folder {0} of the bundled model in share/bit-axon/models of the "
                    "installation, or in models beside the program; found it in neither",
                    name));
  };
  if (!lengths.model.empty()) {
    if (!std::filesystem::exists(lengths.model))
      throw missing(std::filesystem::path(lengths.model).filename().string());
    return lengths.model;
  }
  try {
    return bundled_model_folder().string();
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::io) throw;
    throw missing("tiny-shakespeare");
  }
}

/// An examination under way. Each part returns false when interrupted.
class Doctor {
 public:
  Doctor(const std::function<OpenedDevice()>& open, const ExaminationLengths& lengths,
         const std::atomic<bool>& interrupted, Examination& found)
      : open_(open), lengths_(lengths), interrupted_(interrupted), found_(found) {}

  bool is_open() const { return opened_.backend != nullptr; }

  bool open() {
    opened_ = open_();
    const BackendCaps& caps = caps_of(*opened_.backend);
    found_.backend = caps.name;
    found_.variants = caps.variants;
    found_.temperature_before = temperature_of(caps);
    return true;
  }

  bool check_all_ops() {
    const OpenedDevice reference = open_device("reference");
    for (const Precision precision : {Precision::exact, Precision::fast}) {
      if (precision == Precision::fast && caps_of(*opened_.backend).always_exact) continue;
      OpChecks& checks = found_.ops.emplace_back();
      checks.precision = precision;
      if (!check_ops(*opened_.backend, *reference.backend, interrupted_, checks)) return false;
    }
    return true;
  }

  /// Compares greedy tokens of the bundled model with those of the CPU. A CPU is compared with the
  /// reference.
  bool compare_tokens() {
    const std::string folder = bundled_model(lengths_);
    found_.model = std::filesystem::path(folder).filename().string();
    LoadOptions load;
    load.precision = Precision::exact;
    load.largest_step = kAllOutputs;
    Session a = load_on_cpu(folder, load);
    Session b = load_session(found_model(folder), opened_, load);
    ComparisonInput input;
    input.ids = prompt_ids(a.model.spec().vocab_size);
    input.pieces = {input.ids.size()};
    input.max_tokens = lengths_.n_greedy;
    found_.tokens =
        compare({a.model, b.model}, input, Tolerance::exact(), interrupted_, [](std::size_t) {});
    return found_.tokens.has_value();
  }

  bool measure_rates() {
    const Clock::time_point start = Clock::now();
    do {
      found_.rates.add(opened_.backend->measure_rates());
    } while (!interrupted_ && seconds_since(start) < lengths_.rate_seconds);
    return !interrupted_;
  }

  /// Measures prefill and decoding of the largest preset whose memory the device has, and the rates
  /// once more. Other programs may have disturbed the first measurement of the rates, and then the
  /// limits that follow from them would be too low.
  bool measure_speed() {
    for (const std::string& preset : lengths_.presets) try {
        ModelRequest request;
        request.preset = preset;
        request.random_codes = true;
        const FoundModel model = find_model(request);
        LoadOptions load;
        load.largest_step = {StepOutput::token};
        Session session = load_session(model, opened_, load);
        BenchWish wish;
        wish.seq_lengths = {lengths_.n_prompt};
        wish.depths = {0};
        wish.n_warmup = 1;
        wish.n_iterations = 3;
        wish.n_decode_tokens = lengths_.n_decode;
        const BenchSubject subject{found_.device.selector, &session.model};
        std::vector<BenchedDevice> measured = measure({&subject, 1}, wish, {}, &interrupted_);
        if (measured.empty()) return false;
        measure_rates();
        BenchedDevice& device = measured.front();
        found_.rates.add(device.rates);
        device.rates = found_.rates;
        set_limits(session.model, wish, device);
        found_.speed = SpeedCheck{session.model_name, std::move(device)};
        return true;
      } catch (const OutOfMemory&) {
        found_.left_out.push_back(
            fmt::format("preset {}: the device has not enough memory", preset));
      }
    return true;
  }

  void end() {
    if (is_open()) found_.temperature_after = temperature_of(caps_of(*opened_.backend));
  }

 private:
  static FoundModel found_model(const std::string& folder) {
    ModelRequest request;
    request.model = folder;
    return find_model(request);
  }

  /// Loads the bundled model on the CPU, or on the reference if the CPU is examined. A file that
  /// cannot be read is a fault of the installation.
  Session load_on_cpu(const std::string& folder, const LoadOptions& load) const {
    const OpenedDevice cpu = open_device(found_.backend == "cpu" ? "reference" : "cpu");
    try {
      return load_session(found_model(folder), cpu, load);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::io && error.kind() != ErrorKind::format) throw;
      throw FaultyInstallation(error.what());
    }
  }

  const std::function<OpenedDevice()>& open_;
  OpenedDevice opened_;
  const ExaminationLengths& lengths_;
  const std::atomic<bool>& interrupted_;
  Examination& found_;
};

}  // namespace

std::string_view name_of(FailureCause cause) {
  switch (cause) {
    case FailureCause::device:
      return "device";
    case FailureCause::installation:
      return "installation";
    case FailureCause::program:
      break;
  }
  return "program";
}

ExaminationLengths ExaminationLengths::for_device(const DeviceInfo& device) {
  ExaminationLengths lengths;
  if (device.type != "cpu") return lengths;
  lengths.presets = {"small"};
  if (device.selector == "cpu") return lengths;
  lengths.rate_seconds = 2;
  lengths.n_prompt = 64;
  lengths.n_decode = 16;
  return lengths;
}

std::string Examination::wrong_result() const {
  for (const OpChecks& checks : ops)
    if (!checks.problems.empty())
      return fmt::format("{}: {}", name_of(checks.precision), checks.problems.front());
  if (tokens)
    if (const auto finding = first_beyond_tolerance(*tokens))
      return fmt::format("{}: {}: {}", model, finding->what, finding->why);
  return {};
}

const PartFailure* Examination::failure() const {
  const auto of_device = std::ranges::find(failures, FailureCause::device, &PartFailure::cause);
  if (of_device != failures.end()) return &*of_device;
  return failures.empty() ? nullptr : &failures.front();
}

std::string Examination::problem() const {
  const std::string wrong = wrong_result();
  return wrong.empty() && failure() != nullptr ? failure()->text : wrong;
}

std::optional<bool> Examination::is_right() const {
  if (!wrong_result().empty()) return false;
  if (failure() != nullptr)
    return failure()->cause == FailureCause::device ? std::optional(false) : std::nullopt;
  return interrupted && !tokens ? std::nullopt : std::optional(true);
}

Examination examine(const DeviceInfo& device, const std::function<OpenedDevice()>& open,
                    const ExaminationLengths& lengths, const std::atomic<bool>& interrupted,
                    const std::function<void(std::string_view part)>& on_part) {
  const Clock::time_point start = Clock::now();
  Examination found;
  found.device = device;
  Doctor doctor(open, lengths, interrupted, found);
  const std::pair<const char*, bool (Doctor::*)()> parts[] = {
      {"opening the device", &Doctor::open},
      {"op cases beside the CPU reference", &Doctor::check_all_ops},
      {"tokens of the bundled model beside the CPU", &Doctor::compare_tokens},
      {"rates of the device", &Doctor::measure_rates},
      {"prefill and decoding", &Doctor::measure_speed}};
  std::string device_failure;  // the last one
  const auto leave_out = [&](const char* part, std::string_view reason) {
    found.left_out.push_back(fmt::format("{}: {}", part, reason));
  };
  for (const auto& [name, part] : parts) {
    if (!doctor.is_open() && !found.failures.empty()) {
      leave_out(name, "the device could not be opened");
      continue;
    }
    if (interrupted) {
      leave_out(name, "interrupted");
      continue;
    }
    on_part(name);
    try {
      if (!(doctor.*part)()) leave_out(name, "interrupted");
    } catch (const std::exception& error) {
      const FailureCause cause = cause_of(error);
      // Before the device is open, any other Error is about what was asked for.
      if (!doctor.is_open() && cause != FailureCause::device) throw;
      // After a failure, a device throws the same Error in every call.
      if (cause == FailureCause::device && device_failure == error.what()) {
        leave_out(name, "the device has failed before");
        continue;
      }
      if (cause == FailureCause::device) device_failure = error.what();
      found.failures.push_back({cause, fmt::format("{}: {}", name, without_folders(error.what()))});
    }
  }
  doctor.end();
  found.interrupted = interrupted;
  found.seconds = seconds_since(start);
  return found;
}

}  // namespace bitaxon::tool
