// bit-axon benchmark: how fast a model is on one or several devices, and how close to their limits.
#include <algorithm>

#include "benchmark/benchmark_json.h"
#include "benchmark/benchmark_page.h"
#include "benchmark/benchmark_report.h"
#include "benchmark/train_report.h"
#include "bitaxon/benchmark.h"
#include "bitaxon/error.h"
#include "bitaxon/step_limits.h"
#include "bitaxon/train_benchmark.h"
#include "console.h"
#include "formats/json.h"
#include "platform/file.h"
#include "platform/printable.h"
#include "platform/signals.h"
#include "session.h"

namespace bitaxon::tool {
namespace {

/// The largest length that a flag accepts. It is far longer than any model allows.
constexpr std::int64_t kMaxLength = std::int64_t{1} << 30;
constexpr std::int64_t kMaxRuns = 10'000;
constexpr const char* kPromptLengths = "128,512,1024,2048";
constexpr const char* kTrainedLength = "512";

struct BenchmarkOptions {
  ModelOptions model;
  DeviceOptions device;  ///< options that all devices share
  std::vector<std::string> devices;
  OutputOptions output;
  std::string seq_lengths = {}, batch_size = "1", warmup = "2", iterations = "5",
              decode_tokens = "128", depth = "0", format = "table", report;
  bool profile = false;
  bool train = false;
  std::string lora_rank = "8";
  bool no_dora = false;
};

std::string without_blanks_around(const std::string& text) {
  const std::size_t first = text.find_first_not_of(' ');
  if (first == text.npos) return {};
  return text.substr(first, text.find_last_not_of(' ') - first + 1);
}

/// Parses "128,512" or "128, 512" and keeps the order.
std::vector<std::int64_t> parse_lengths(const std::string& flag, const std::string& text,
                                        std::int64_t min) {
  std::vector<std::int64_t> lengths;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    const std::int64_t length = parse_integer(
        flag, without_blanks_around(text.substr(begin, end - begin)), min, kMaxLength);
    if (std::ranges::find(lengths, length) != lengths.end())
      throw UsageError(fmt::format("{}: expected each length once, got {} twice", flag, length));
    lengths.push_back(length);
    begin = end + 1;
  }
  return lengths;
}

BenchWish wish_of(const BenchmarkOptions& wanted) {
  return {.seq_lengths = parse_lengths(
              "--seq-lengths", wanted.seq_lengths.empty() ? kPromptLengths : wanted.seq_lengths, 1),
          .depths = parse_lengths("--depth", wanted.depth, 0),
          .batch_size = parse_integer("--batch-size", wanted.batch_size, 1, kMaxSegments),
          .n_warmup = parse_integer("--warmup", wanted.warmup, 0, kMaxRuns),
          .n_iterations = parse_integer("--iterations", wanted.iterations, 1, kMaxRuns),
          .n_decode_tokens = parse_integer("--decode-tokens", wanted.decode_tokens, 0, kMaxLength),
          // The page of --report shows profiles.
          .profile = wanted.profile || !wanted.report.empty()};
}

/// Refuses two names of the same device, because the device would be compared with itself.
void check_distinct(const std::vector<DeviceOptions>& devices) {
  if (devices.size() < 2) return;  // resolving names takes a moment
  std::vector<std::string> meant;
  for (const DeviceOptions& device : devices) {
    const std::string selector = resolve_device(device.device);
    const auto same = std::ranges::find(meant, selector);
    if (same != meant.end())
      throw UsageError(
          fmt::format("--device: expected each device once, got {} and {}, which are both {}",
                      printable(devices[static_cast<std::size_t>(same - meant.begin())].device),
                      printable(device.device), printable(selector)));
    meant.push_back(selector);
  }
}

std::vector<DeviceOptions> devices_of(const BenchmarkOptions& wanted) {
  std::vector<DeviceOptions> devices;
  const std::vector<std::string> names =
      wanted.devices.empty() ? std::vector<std::string>{"auto"} : wanted.devices;
  for (const std::string& name : names) {
    devices.push_back(wanted.device);
    devices.back().device = name;
  }
  return devices;
}

using Format = std::string (*)(const Benchmark& found);

Format format_of(const std::string& name) {
  if (name == "table") return table_text;
  if (name == "markdown") return markdown_text;
  if (name == "csv") return csv_text;
  if (name == "json")
    return [](const Benchmark& found) { return report_json(found).dump(2) + "\n"; };
  throw UsageError(
      fmt::format("--format: expected table, markdown, csv or json, got \"{}\"", printable(name)));
}

/// Throws UsageError for a test that is longer than the longest sequence of the model.
void check_fit(const BenchWish& wish, const ModelSpec& spec) try {
  check_lengths(tests_of(wish), spec);
} catch (const Error& error) {
  throw UsageError(error.what());
}

/// Measures training instead of prefill and decoding.
int run_training(const BenchmarkOptions& wanted) {
  if (wanted.format != "table" && wanted.format != "json")
    throw UsageError(fmt::format("--format: expected table or json with --train, got \"{}\"",
                                 printable(wanted.format)));
  if (wanted.devices.size() > 1)
    throw UsageError(
        fmt::format("--device: expected one device with --train, got {}", wanted.devices.size()));
  check_preset(wanted.model);
  const DeviceOptions device = devices_of(wanted).front();
  device.check();
  const auto lengths = parse_lengths(
      "--seq-lengths", wanted.seq_lengths.empty() ? kTrainedLength : wanted.seq_lengths, 1);
  if (lengths.size() != 1)
    throw UsageError(
        fmt::format("--seq-lengths: expected one length with --train, got {}", lengths.size()));
  TrainBenchWish wish{
      .n_tokens = lengths.front(),
      .adapter = {},
      .n_warmup = parse_integer("--warmup", wanted.warmup, 0, kMaxRuns),
      .n_iterations = parse_integer("--iterations", wanted.iterations, 1, kMaxRuns)};
  wish.adapter.rank = parse_integer("--lora-rank", wanted.lora_rank, 1, kMaxLength);
  wish.profile = wanted.profile;
  wish.adapter.kind = wanted.no_dora ? AdapterKind::lora : AdapterKind::dora;
  const FoundModel found = find_base(wanted.model, wanted.output);
  const OpenedDevice opened = open_device(device.device, device.open_options());
  ProgressLine progress("measuring", !wanted.output.quiet);
  const TrainBenchmark measured = measure_training(
      found, opened, device.wanted_precision(), wish,
      [&](std::uint64_t done, std::uint64_t total) { progress.update(done, total); });
  progress.clear();
  print(wanted.format == "json" ? train_json(measured).dump(2) + "\n" : train_text(measured));
  flush();
  return kDone;
}

int run_command(const BenchmarkOptions& wanted) {
  if (wanted.train) return run_training(wanted);
  const Format format = format_of(wanted.format);
  check_preset(wanted.model);
  Benchmark found;
  found.wish = wish_of(wanted);
  const std::vector<DeviceOptions> devices = devices_of(wanted);
  for (const DeviceOptions& device : devices) device.check();
  if (!wanted.report.empty()) check_writable("--report", wanted.report);
  check_distinct(devices);
  // The lengths are checked before a long load.
  check_fit(found.wish, find_spec(wanted.model));

  std::vector<Session> sessions = open_sessions(
      wanted.model, devices, wanted.output,
      {.n_slots = static_cast<int>(found.wish.batch_size), .largest_step = {StepOutput::token}});
  std::vector<BenchSubject> subjects;
  for (std::size_t i = 0; i < sessions.size(); ++i) {
    // For auto, the name of the chosen device is shown.
    const std::string& name = devices[i].device;
    subjects.push_back(
        {name == "auto" ? caps_of(*sessions[i].backend).name : name, &sessions[i].model});
  }
  found.model = sessions.front().model_name;
  {
    ProgressLine progress("measuring", !wanted.output.quiet);
    found.devices = measure(subjects, found.wish, [&](std::uint64_t done, std::uint64_t total) {
      progress.update(done, total);
    });
  }
  // The results are printed before the file is written, so that a full disk does not lose long
  // measurements.
  print(format(found));
  flush();
  if (!wanted.report.empty()) {
    // Up to here Ctrl-C ends the process at once, because a single run may take minutes.
    catch_interrupts();
    write_text_file(wanted.report, page_text(found));
  }
  return kDone;
}

}  // namespace

void add_benchmark(CommandLine& line) {
  auto wanted = std::make_shared<BenchmarkOptions>();
  wanted->model.random_by_default = true;
  wanted->model.random_codes = true;
  Command& command = line.add_command(
      "benchmark", "Measure prefill and decoding on one or several devices, next to their limits");
  add_weight_options(command, wanted->model, "the default configuration with random 4-bit weights");
  add_preset_option(command, wanted->model);
  add_quantize_option(command, wanted->model);
  command
      .add("--device", wanted->devices,
           "As --device of run; several devices run the same tests in turn")
      .one_value_each()
      .environment(kDeviceVariable)
      .type("DEVICE")
      .show_default("auto");
  add_precision_options(command, wanted->device);
  add_shader_option(command, wanted->device);
  add_output_options(command, wanted->output);
  const auto add = [&](const char* name, std::string& value, const char* type, const char* help) {
    return command.add(name, value, help).type(type).not_empty();
  };
  add("-s,--seq-lengths", wanted->seq_lengths, "LENGTHS",
      "Tokens of the prompts; with --train, of the trained sequence")
      .show_default("128,512,1024,2048; 512 with --train");
  const Flag batch =
      add("--batch-size", wanted->batch_size, "N", "Sequences computed together, 1 to 32")
          .show_default();
  add("-w,--warmup", wanted->warmup, "N", "Runs before the measured ones").show_default();
  add("-i,--iterations", wanted->iterations, "N", "Measured runs").show_default();
  const Flag decode =
      add("--decode-tokens", wanted->decode_tokens, "N", "Tokens to decode; 0: none")
          .show_default();
  const Flag depth =
      add("--depth", wanted->depth, "LENGTHS",
          "Decode after this many tokens, with a synthesized state; 0: after each prompt")
          .show_default();
  add("--format", wanted->format, "FORMAT", "table, markdown, csv or json").show_default();
  const Flag report =
      add("--report", wanted->report, "FILE", "Also write a page of HTML with plots");
  command.add("--profile", wanted->profile, "Also measure the time and bytes of each op");
  Flag train =
      command.add("--train", wanted->train,
                  "Measure training of an adapter, next to the prefill of the same length");
  for (const Flag& of_inference : {batch, decode, depth, report}) train.excludes(of_inference);
  add("--lora-rank", wanted->lora_rank, "N", "With --train: rank of the adapter").show_default();
  command.add("--no-dora", wanted->no_dora, "With --train: LoRA instead of DoRA");
  command.runs([wanted] { return run_command(*wanted); });
}

}  // namespace bitaxon::tool
