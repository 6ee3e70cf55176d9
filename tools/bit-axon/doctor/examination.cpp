#include "doctor/examination.h"

#include <fmt/format.h>

#include <chrono>

#include "bitaxon/error.h"
#include "bitaxon/memory.h"
#include "bitaxon/session.h"
#include "core/backend.h"
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

/// An examination under way.
class Doctor {
 public:
  Doctor(const OpenedDevice& opened, const ExaminationLengths& lengths,
         const std::atomic<bool>& interrupted, Examination& found)
      : opened_(opened), lengths_(lengths), interrupted_(interrupted), found_(found) {}

  void check_all_ops() {
    const OpenedDevice reference = open_device("reference");
    for (const Precision precision : {Precision::exact, Precision::fast})
      if (precision == Precision::exact || !caps_of(*opened_.backend).always_exact)
        found_.ops.push_back(
            check_ops(*opened_.backend, *reference.backend, precision, interrupted_));
  }

  /// Compares greedy tokens of the bundled model with those of the CPU. A CPU is compared with the
  /// reference.
  void compare_tokens() {
    ModelRequest request;
    request.model = bundled_model_folder("bundled model").string();
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
  }

  void measure_rates() {
    const Clock::time_point start = Clock::now();
    do {
      found_.rates.add(opened_.backend->measure_rates());
    } while (!interrupted_ && seconds_since(start) < lengths_.rate_seconds);
  }

  /// Measures prefill and decoding of the largest preset whose memory the device has.
  void measure_speed() {
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
        found_.speed = SpeedCheck{session.model_name, measure({&subject, 1}, wish).front()};
        return;
      } catch (const OutOfMemory&) {
        found_.left_out.push_back(
            fmt::format("preset {}: the device has not enough memory", preset));
      }
  }

 private:
  const OpenedDevice& opened_;
  const ExaminationLengths& lengths_;
  const std::atomic<bool>& interrupted_;
  Examination& found_;
};

}  // namespace

ExaminationLengths ExaminationLengths::for_software() {
  return {.n_greedy = 200, .rate_seconds = 2, .n_prompt = 64, .n_decode = 16, .presets = {"small"}};
}

std::string Examination::problem() const {
  for (const OpChecks& checks : ops)
    if (!checks.problems.empty())
      return fmt::format("{}: {}", name_of(checks.precision), checks.problems.front());
  if (tokens)
    if (const auto finding = first_beyond_tolerance(*tokens))
      return fmt::format("{}: {}: {}", model, finding->what, finding->why);
  return {};
}

std::optional<Examination> examine(const DeviceInfo& device, const OpenOptions& options,
                                   const ExaminationLengths& lengths,
                                   const std::atomic<bool>& interrupted,
                                   const std::function<void(std::string_view part)>& on_part) {
  const Clock::time_point start = Clock::now();
  Examination found;
  found.device = device;
  on_part("opening the device");
  const OpenedDevice opened = open_device(device.selector, options);
  const BackendCaps& caps = caps_of(*opened.backend);
  found.backend = caps.name;
  found.variants = caps.variants;
  found.temperature_before = temperature_of(caps);
  Doctor doctor(opened, lengths, interrupted, found);
  const std::pair<const char*, void (Doctor::*)()> parts[] = {
      {"op cases beside the CPU reference", &Doctor::check_all_ops},
      {"tokens of the bundled model beside the CPU", &Doctor::compare_tokens},
      {"rates of the device", &Doctor::measure_rates},
      {"prefill and decoding", &Doctor::measure_speed}};
  for (const auto& [name, part] : parts) {
    if (interrupted) return std::nullopt;
    on_part(name);
    (doctor.*part)();
  }
  if (interrupted) return std::nullopt;
  found.temperature_after = temperature_of(caps);
  found.seconds = seconds_since(start);
  return found;
}

}  // namespace bitaxon::tool
