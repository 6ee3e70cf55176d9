#include "decode_times.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <memory>

#include "bitaxon/model.h"
#include "call_times.h"
#include "generate/decoder.h"
#include "platform/paths.h"
#include "vulkan/device/device_caps.h"
#include "vulkan/vulkan_backend.h"

namespace bitaxon::bench {
namespace {

/// The number of tokens that are decoded before the measurement. These tokens use every pipeline
/// and every entry of the ring buffer of steps.
constexpr int kWarmUpTokens = 12;

double seconds_now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

struct OpenModel {
  std::shared_ptr<Backend> backend;
  Model model;
};

OpenModel open(const DecodeSetup& setup, const vulkan::VulkanOptions& options) {
  auto backend = vulkan::open_vulkan_backend(options);
  if (!setup.model) {
    Model model = Model::random(backend, setup.config.spec(), 1, {});
    return {std::move(backend), std::move(model)};
  }
  std::vector<std::string> warnings;
  Model model = Model::load(backend, model_files(*setup.model), {}, warnings);
  return {std::move(backend), std::move(model)};
}

vulkan::VulkanOptions options_of(const DecodeSetup& setup) {
  vulkan::VulkanOptions options;
  options.selector = setup.selector;
  options.shader_dir = setup.shader_dir;
  options.cache_dir = cache_folder() / "bit-axon";
  return options;
}

constexpr std::int32_t kPrompt[] = {1};

double median(std::vector<double> values) {
  const auto middle = values.begin() + std::ssize(values) / 2;
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

/// The median over all tokens of one member of TokenTimes.
double median(const std::vector<TokenTimes>& tokens, double TokenTimes::*time) {
  std::vector<double> values;
  for (const TokenTimes& token : tokens) values.push_back(token.*time);
  return median(std::move(values));
}

TokenTimes measure_token(Decoder& decoder) {
  take_call_times();
  const double begin = seconds_now();
  decoder.next();
  const double token_s = seconds_now() - begin;
  const CallTimes calls = take_call_times();
  return {.token_us = token_s * 1e6,
          .host_us = (token_s - calls.submit_s - calls.wait_s) * 1e6,
          .submit_us = calls.submit_s * 1e6,
          .wait_us = calls.wait_s * 1e6};
}

/// The part of a label that names op and shader: "ssm_in: ssm_in_vec" for the label "layer_3
/// ssm_in: ssm_in_vec".
std::string kernel_of(const std::string& label) {
  const std::size_t colon = label.find(": ");
  const std::size_t space = label.rfind(' ', colon);
  return space == std::string::npos ? label : label.substr(space + 1);
}

}  // namespace

BitAxonConfig many_small_layers() {
  BitAxonConfig config;
  config.vocab_size = 256;
  config.hidden_dim = 64;
  config.num_heads = 2;
  config.d_source_model = 64;
  config.ssm_expand = 2;
  config.swa_window_size = 64;
  config.moe_intermediate_dim = 64;
  return config;
}

DecodeTimes measure_decode(const DecodeSetup& setup, bool with_rates) {
  vulkan::VulkanOptions options = options_of(setup);
  options.hook = measure_calls;
  DecodeTimes times;
  const double begin = seconds_now();
  OpenModel open_model = open(setup, options);
  times.load_s = seconds_now() - begin;
  times.device = vulkan::device_caps(*open_model.backend).name;
  times.driver = vulkan::device_caps(*open_model.backend).driver_info;
  times.packed_bytes = open_model.model.packed_bytes();
  State state = open_model.model.new_state();
  Decoder decoder(open_model.model, {{.state = &state, .ids = kPrompt, .sampler = {}}});
  for (int i = 0; i < kWarmUpTokens; ++i) decoder.next();
  times.first_s = seconds_now() - begin - times.load_s;
  std::vector<TokenTimes> tokens;
  for (int i = 0; i < setup.n_tokens; ++i) tokens.push_back(measure_token(decoder));
  decoder.finish();
  times.token = {.token_us = median(tokens, &TokenTimes::token_us),
                 .host_us = median(tokens, &TokenTimes::host_us),
                 .submit_us = median(tokens, &TokenTimes::submit_us),
                 .wait_us = median(tokens, &TokenTimes::wait_us)};
  const StepCounts counts = open_model.backend->last_step();
  times.dispatches = counts.dispatches;
  times.submissions = counts.submissions;
  if (with_rates) times.rates = open_model.backend->measure_rates();
  return times;
}

std::vector<KernelTime> measure_kernels(const DecodeSetup& setup) {
  OpenModel open_model = open(setup, options_of(setup));
  open_model.backend->measure_ops(true);
  State state = open_model.model.new_state();
  Decoder decoder(open_model.model, {{.state = &state, .ids = kPrompt, .sampler = {}}},
                  {.run_ahead = 0});
  for (int i = 0; i < kWarmUpTokens; ++i) decoder.next();
  std::map<std::string, KernelTime> by_label;
  for (int i = 0; i < setup.n_tokens; ++i) {
    decoder.next();
    for (const OpTime& launch : open_model.backend->last_step_times()) {
      KernelTime& kernel = by_label[kernel_of(launch.label)];
      ++kernel.launches;
      kernel.time_us += launch.time_ns * 1e-3;
      kernel.bytes += launch.bytes;
    }
  }
  decoder.finish();
  std::vector<KernelTime> kernels;
  for (auto& [label, kernel] : by_label)
    kernels.push_back({.label = label,
                       .launches = kernel.launches / setup.n_tokens,
                       .time_us = kernel.time_us / setup.n_tokens,
                       .bytes = kernel.bytes / setup.n_tokens});
  std::ranges::sort(kernels, std::greater<>(), &KernelTime::time_us);
  return kernels;
}

}  // namespace bitaxon::bench
