// Measures the time to decode one token on a Vulkan device, and the host's part of this time. With
// --profile, also compares the time of each kernel with the highest rates of the device.
//   step_bench [--device vulkan:SEL] [--model DIR | --config NAME] [--tokens N] [--profile]
//              [--shader-dir DIR] [--output FOLDER]
// The last line of output is the report as JSON. With --output, the report is also written to a
// file.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <map>

#include "bitaxon/error.h"
#include "decode_times.h"
#include "formats/json.h"
#include "platform/build_info.h"
#include "platform/file.h"
#include "platform/printable.h"

namespace bitaxon::bench {
namespace {

/// The fraction of the device's read rate that kernels are expected to reach.
constexpr double kReadShare = 0.8;

struct Options {
  std::string device = "vulkan";
  std::string model;
  std::string config = "small-layers";
  int n_tokens = 32;
  bool profile = false;
  std::string shader_dir;
  std::string output;
};

Json decode_json(const DecodeTimes& times) {
  const TokenTimes& token = times.token;
  return {{"load_s", times.load_s},
          {"warm_up_s", times.first_s},
          {"packed_bytes", times.packed_bytes},
          {"dispatches", times.dispatches},
          {"submissions", times.submissions},
          {"token_us", token.token_us},
          {"host_us", token.host_us},
          {"driver_submit_us", token.submit_us},
          {"driver_wait_us", token.wait_us}};
}

void print_decode(const DecodeTimes& times) {
  const TokenTimes& token = times.token;
  const auto line = [&](const char* what, double us) {
    std::printf("  %-28s %12.1f us %7.2f %%\n", what, us, 100 * us / token.token_us);
  };
  std::printf("%s, %s\n", times.device.c_str(), times.driver.c_str());
  std::printf("load %.2f s, warm-up %.2f s, weights %.3f GB, %zu dispatches in %zu submission%s\n",
              times.load_s, times.first_s, static_cast<double>(times.packed_bytes) * 1e-9,
              times.dispatches, times.submissions, times.submissions == 1 ? "" : "s");
  std::printf("per token (medians)\n");
  line("from token to token", token.token_us);
  line("host, without the driver", token.host_us);
  line("driver's submit", token.submit_us);
  line("driver's wait", token.wait_us);
}

double gigabytes_per_s(double bytes, double us) { return us > 0 ? bytes / us * 1e-3 : 0; }

void print_kernels(const std::vector<KernelTime>& kernels, double read_rate) {
  double total_us = 0;
  for (const KernelTime& kernel : kernels) total_us += kernel.time_us;
  std::printf("\n%-36s %8s %12s %7s %10s %10s %8s %7s\n", "kernel", "launches", "us", "%",
              "us each", "MB", "GB/s", "% read");
  for (const KernelTime& kernel : kernels) {
    const auto bytes = static_cast<double>(kernel.bytes);
    const double rate = gigabytes_per_s(bytes, kernel.time_us);
    std::printf("%-36s %8lld %12.1f %7.2f %10.2f %10.3f %8.2f %7.2f\n", kernel.label.c_str(),
                static_cast<long long>(kernel.launches), kernel.time_us,
                100 * kernel.time_us / total_us,
                kernel.time_us / static_cast<double>(kernel.launches), bytes * 1e-6, rate,
                100 * rate * 1e9 / read_rate);
  }
}

/// The expected time of a token: the time to read its bytes at kReadShare of the read rate, plus
/// the time to dispatch its launches.
struct Expectation {
  double bytes = 0;
  double kernels_us = 0;
  double read_us = 0;
  double dispatch_us = 0;
  double token_us() const { return read_us + dispatch_us; }
};

Expectation expect(const std::vector<KernelTime>& kernels, const DecodeTimes& times) {
  Expectation expected;
  for (const KernelTime& kernel : kernels) {
    expected.bytes += static_cast<double>(kernel.bytes);
    expected.kernels_us += kernel.time_us;
  }
  expected.read_us = expected.bytes / times.rates->read_bytes_per_s / kReadShare * 1e6;
  expected.dispatch_us = static_cast<double>(times.dispatches) * times.rates->dispatch_s * 1e6;
  return expected;
}

void print_expectation(const Expectation& expected, const DecodeTimes& times) {
  std::printf("\ndevice reads %.1f GB/s, an empty dependent dispatch takes %.2f us\n",
              times.rates->read_bytes_per_s * 1e-9, times.rates->dispatch_s * 1e6);
  std::printf(
      "all kernels take %.1f us; expected: %.1f MB at %.0f %% of the read rate take %.1f us, %zu "
      "dispatches %.1f us, together %.1f us; a token takes %.1f us, %.2f times that\n",
      expected.kernels_us, expected.bytes * 1e-6, 100 * kReadShare, expected.read_us,
      times.dispatches, expected.dispatch_us, expected.token_us(), times.token.token_us,
      times.token.token_us / expected.token_us());
}

Json profile_json(const std::vector<KernelTime>& kernels, const Expectation& expected,
                  const DecodeTimes& times) {
  Json rows = Json::array();
  for (const KernelTime& kernel : kernels)
    rows.push_back({{"kernel", kernel.label},
                    {"launches", kernel.launches},
                    {"us", kernel.time_us},
                    {"bytes", kernel.bytes}});
  return {{"read_bytes_per_s", times.rates->read_bytes_per_s},
          {"dispatch_us", times.rates->dispatch_s * 1e6},
          {"bytes", expected.bytes},
          {"kernels_us", expected.kernels_us},
          {"expected_read_us", expected.read_us},
          {"expected_dispatch_us", expected.dispatch_us},
          {"expected_token_us", expected.token_us()},
          {"kernels", rows}};
}

const std::map<std::string, BitAxonConfig>& configs() {
  static const std::map<std::string, BitAxonConfig> all = {{"default", BitAxonConfig()},
                                                           {"medium", BitAxonConfig::medium()},
                                                           {"small", BitAxonConfig::small()},
                                                           {"small-layers", many_small_layers()}};
  return all;
}

DecodeSetup setup_of(const Options& options) {
  DecodeSetup setup;
  const std::size_t colon = options.device.find(':');
  const std::string kind = options.device.substr(0, colon);
  if (kind != "vulkan")
    throw Error(ErrorKind::invalid_argument,
                "device: expected vulkan[:SEL], got " + printable(options.device));
  if (colon != std::string::npos) setup.selector = options.device.substr(colon + 1);
  setup.shader_dir = options.shader_dir;
  setup.config = configs().at(options.config);
  if (!options.model.empty()) setup.model = options.model;
  setup.n_tokens = options.n_tokens;
  return setup;
}

/// The path of the report. The name of the file holds the commit, and the letters and digits of the
/// device name.
std::filesystem::path report_file(const std::string& folder, const std::string& device) {
  std::string name;
  for (const char c : device) {
    const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (plain) name += c;
    if (!plain && !name.empty() && name.back() != '-') name += '-';
  }
  return std::filesystem::path(folder) /
         ("step-" + name + "-" + std::string(build_info().commit) + ".json");
}

void measure(const Options& options) {
  const DecodeSetup setup = setup_of(options);
  const DecodeTimes times = measure_decode(setup, options.profile);
  print_decode(times);
  std::fflush(stdout);  // shows the times before the further measurements, which may take a while
  const BuildInfo& build = build_info();
  const std::string model = std::filesystem::weakly_canonical(options.model).filename().string();
  Json report = {
      {"device", times.device},     {"driver", times.driver},
      {"commit", build.commit},     {"build", build.build_type},
      {"compiler", build.compiler}, {"model", options.model.empty() ? options.config : model},
      {"tokens", options.n_tokens}, {"decode", decode_json(times)}};
  if (options.profile) {
    const std::vector<KernelTime> kernels = measure_kernels(setup);
    const Expectation expected = expect(kernels, times);
    print_kernels(kernels, times.rates->read_bytes_per_s);
    print_expectation(expected, times);
    report["profile"] = profile_json(kernels, expected, times);
  }
  if (!options.output.empty()) {
    AtomicFile file(report_file(options.output, times.device));
    file.write(report.dump(2) + "\n");
    file.commit();
  }
  std::printf("%s\n", report.dump().c_str());
}

int step_bench(int argc, char** argv) {
  Options options;
  CLI::App program("Measures the time of decoding one token on a Vulkan device.", "step_bench");
  program.add_option("--device", options.device, "vulkan[:SEL]")->capture_default_str();
  program.add_option("--model,-m", options.model, "A model directory instead of random weights");
  program.add_option("--config", options.config, "Configuration of random weights")
      ->check(CLI::IsMember(configs()))
      ->capture_default_str();
  program.add_option("--tokens", options.n_tokens, "Tokens to measure")
      ->check(CLI::Range(1, 10000))
      ->capture_default_str();
  program.add_flag("--profile", options.profile, "Time kernels and measure the device's rates");
  program.add_option("--shader-dir", options.shader_dir,
                     "Compile the shaders in this folder instead of using the program's");
  program.add_option("--output,-o", options.output, "Folder for the report as a JSON file");
  try {
    program.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return program.exit(error) == 0 ? 0 : 2;
  }
  measure(options);
  return 0;
}

}  // namespace
}  // namespace bitaxon::bench

int main(int argc, char** argv) {
  try {
    return bitaxon::bench::step_bench(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "step_bench: %s\n", bitaxon::printable(error.what(), 4096).c_str());
    return 1;
  }
}
