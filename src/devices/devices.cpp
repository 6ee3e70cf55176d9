#include "bitaxon/devices.h"

#include <fmt/format.h>

#include "bitaxon/error.h"
#include "cpu/cpu_backend.h"
#include "platform/cpu_info.h"

namespace bitaxon {
namespace {

constexpr const char* kSelectors = "auto, cpu, reference or vulkan[:SEL]";

bool is_vulkan(const std::string& selector) {
  return selector == "vulkan" || selector.rfind("vulkan:", 0) == 0;
}

}  // namespace

std::vector<DeviceInfo> list_devices() {
  DeviceInfo cpu;
  cpu.selector = "cpu";
  cpu.name = cpu_model_name();
  cpu.type = "cpu";
  cpu.memory_total_bytes = total_memory_bytes();
  cpu.memory_available_bytes = available_memory_bytes();
  cpu.n_threads = usable_cores();
  cpu.chosen_by_auto = true;
  cpu.reason = "this build has no GPU backend";
  DeviceInfo reference = cpu;
  reference.selector = "reference";
  reference.n_threads = 1;
  reference.chosen_by_auto = false;
  reference.reason =
      "plain float64 kernels that other devices are checked against; only when named";
  return {cpu, reference};
}

std::vector<std::string> built_backends() { return {"cpu", "reference"}; }

std::optional<std::string> selector_problem(const std::string& selector) {
  if (selector == "auto" || selector == "cpu" || selector == "reference" || is_vulkan(selector))
    return std::nullopt;
  return fmt::format("expected {}, got \"{}\"", kSelectors, selector);
}

OpenedDevice open_device(const std::string& selector, int n_threads) {
  if (const auto problem = selector_problem(selector))
    throw Error(ErrorKind::invalid_argument, "device: " + *problem);
  if (is_vulkan(selector))
    throw Error(ErrorKind::unsupported,
                fmt::format("device {}: this build has no Vulkan backend; it has auto, cpu and "
                            "reference",
                            selector));
  OpenedDevice opened;
  opened.backend =
      cpu::open_cpu_backend({.n_threads = n_threads, .reference = selector == "reference"});
  if (selector == "auto") opened.reason = list_devices()[0].reason;
  return opened;
}

}  // namespace bitaxon
