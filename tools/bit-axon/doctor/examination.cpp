#include "doctor/examination.h"

#include <fmt/format.h>

#include <chrono>
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
    ModelRequest request;
    request.model =
        lengths_.model.empty() ? bundled_model_folder("bundled model").string() : lengths_.model;
    const FoundModel model = find_model(request);
    found_.model = std::filesystem::path(request.model).filename().string();
    LoadOptions load;
    load.precision = Precision::exact;
    load.largest_step = kAllOutputs;
    const bool is_cpu = found_.backend == "cpu";
    Session a = load_session(model, open_device(is_cpu ? "reference" : "cpu"), load);
    Session b = load_session(model, opened_, load);
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

  /// Measures prefill and decoding of the largest preset whose memory the device has.
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
        found_.speed = SpeedCheck{session.model_name, std::move(measured.front())};
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
  const std::function<OpenedDevice()>& open_;
  OpenedDevice opened_;
  const ExaminationLengths& lengths_;
  const std::atomic<bool>& interrupted_;
  Examination& found_;
};

}  // namespace

ExaminationLengths ExaminationLengths::for_software() {
  return {.n_greedy = 200, .rate_seconds = 2, .n_prompt = 64, .n_decode = 16, .presets = {"small"}};
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

std::string Examination::problem() const {
  const std::string wrong = wrong_result();
  return wrong.empty() && !failures.empty() ? failures.front() : wrong;
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
  std::string failure;  // the last one
  const auto leave_out = [&](const char* part, std::string_view reason) {
    found.left_out.push_back(fmt::format("{}: {}", part, reason));
  };
  for (const auto& [name, part] : parts) {
    const bool is_first = name == parts[0].first;
    if (interrupted || (!is_first && !doctor.is_open())) {
      leave_out(name, doctor.is_open() || failure.empty() ? "interrupted"
                                                          : "the device could not be opened");
      continue;
    }
    on_part(name);
    try {
      if (!(doctor.*part)()) leave_out(name, "interrupted");
    } catch (const std::exception& error) {
      const auto* known = dynamic_cast<const Error*>(&error);
      const bool device_failed = known != nullptr && known->kind() == ErrorKind::device;
      if (is_first && !device_failed) throw;
      // After a failure, a device throws the same Error in every call.
      if (failure == error.what()) {
        leave_out(name, "the device has failed before");
        continue;
      }
      failure = error.what();
      found.failures.push_back(fmt::format("{}: {}", name, without_folders(failure)));
    }
  }
  doctor.end();
  found.interrupted = interrupted;
  found.seconds = seconds_since(start);
  return found;
}

}  // namespace bitaxon::tool
