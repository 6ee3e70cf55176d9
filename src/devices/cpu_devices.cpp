#include <fmt/format.h>

#include "bitaxon/error.h"
#include "cpu/cpu_backend.h"
#include "devices/factories.h"
#include "platform/cpu_info.h"
#include "platform/host_memory.h"
#include "platform/printable.h"

namespace bitaxon {
namespace {

DeviceList cpu_devices() {
  DeviceInfo cpu;
  cpu.selector = "cpu";
  cpu.name = cpu_model_name();
  cpu.type = "cpu";
  cpu.memory_total_bytes = total_memory_bytes();
  cpu.memory_available_bytes = available_memory_bytes().value_or(0);
  cpu.n_threads = usable_cores();
  cpu.description = cpu::describe_cpu({.n_threads = cpu.n_threads, .reference = false});
  DeviceInfo reference = cpu;
  cpu.instruction_set = cpu::instruction_set({.n_threads = cpu.n_threads, .reference = false});
  reference.selector = "reference";
  reference.n_threads = 1;
  reference.description = cpu::describe_cpu({.n_threads = 1, .reference = true});
  reference.reason =
      "plain float64 kernels that other devices are checked against; used only when named";
  return {{cpu, reference}, "", ""};
}

std::string resolve_cpu(const std::string& selector) { return selector; }

std::shared_ptr<Backend> open_cpu(const std::string& selector, const OpenOptions& options) {
  if (!options.shader_dir.empty())
    throw Error(
        ErrorKind::invalid_argument,
        fmt::format("device {} has no shaders to replace by those in {}; name a Vulkan device",
                    selector, printable_path(options.shader_dir.string())));
  if (!options.tiles.empty())
    throw Error(
        ErrorKind::invalid_argument,
        fmt::format("device {} has no tiles to choose from; name a Vulkan device", selector));
  return cpu::open_cpu_backend(
      {.n_threads = options.n_threads, .reference = selector == "reference"});
}

}  // namespace

BackendFactory cpu_factory() {
  return {.name = "cpu",
          .selectors = {"cpu", "reference"},
          .is_last_resort = true,
          .list = cpu_devices,
          .resolve = resolve_cpu,
          .open = open_cpu};
}

}  // namespace bitaxon
