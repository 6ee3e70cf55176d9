// bit-axon devices: lists the devices that a model could run on.
#include <fmt/ranges.h>

#include "bitaxon/devices.h"
#include "console.h"
#include "formats/json.h"
#include "options.h"
#include "platform/printable.h"
#include "session/report_json.h"

namespace bitaxon::tool {
namespace {

void print_line(std::string_view name, std::string_view value) {
  if (!value.empty()) print(fmt::format("  {:<22}{}\n", name, printable(value, 1000)));
}

void print_device(const DeviceInfo& device) {
  print(fmt::format("{}{}\n", device.selector,
                    device.chosen_by_auto ? "  (auto)" : (device.usable ? "" : "  (unusable)")));
  print_line("name", device.name);
  print_line("type", device.type);
  print_line("driver", device.driver);
  print_line("vulkan", device.api_version);
  print_line("uuid", device.uuid);
  print_line("pci address", device.pci_address);
  if (device.n_threads > 0) print_line("threads", std::to_string(device.n_threads));
  print_line("instruction set", device.instruction_set);
  print_line("manifest", device.driver_manifest);
  if (device.memory_total_bytes > 0)
    print_line("memory",
               fmt::format("{} of {} available", bytes_text(device.memory_available_bytes),
                           bytes_text(device.memory_total_bytes)));
  for (const DeviceProperty& limit : device.limits) print_line(limit.name, limit.value);
  for (const DeviceProperty& feature : device.features) print_line(feature.name, feature.value);
  print_line("why", device.reason);
}

}  // namespace

void add_devices(CommandLine& line) {
  auto json = std::make_shared<bool>(false);
  Command& command = line.add_command("devices", "List the devices a model can run on");
  command.add("--json", *json, "Print a JSON list");
  command.runs([json] {
    const DeviceList list = find_devices();
    if (!list.warning.empty()) note("warning: " + printable(list.warning, 1000));
    if (*json) {
      print(devices_json(list).dump(2) + "\n");
      return static_cast<int>(kDone);
    }
    if (list.devices.empty())
      note(fmt::format("no device of this machine can be used{}{}; this build has {}",
                       list.note.empty() ? "" : ": ", list.note,
                       fmt::join(built_backends(), ", ")));
    for (const DeviceInfo& device : list.devices) print_device(device);
    return static_cast<int>(kDone);
  });
}

}  // namespace bitaxon::tool
