// bit-axon devices: what a model could run on here.
#include <fmt/ranges.h>

#include "bitaxon/devices.h"
#include "console.h"
#include "formats/json.h"
#include "options.h"
#include "platform/printable.h"

namespace bitaxon::tool {

Command add_devices(CLI::App& program) {
  auto json = std::make_shared<bool>(false);
  CLI::App& app = *program.add_subcommand("devices", "List the devices a model can run on");
  app.add_flag("--json", *json, "Print a JSON list");
  return [json] {
    const std::vector<DeviceInfo> devices = list_devices();
    if (*json) {
      Json list = Json::array();
      for (const DeviceInfo& device : devices)
        list.push_back({{"selector", device.selector},
                        {"name", device.name},
                        {"type", device.type},
                        {"threads", device.n_threads},
                        {"memory_total_bytes", device.memory_total_bytes},
                        {"memory_available_bytes", device.memory_available_bytes},
                        {"chosen_by_auto", device.chosen_by_auto},
                        {"reason", device.reason}});
      print(list.dump(2) + "\n");
      return static_cast<int>(kDone);
    }
    if (devices.empty())
      note(fmt::format("no device of this machine can be used; this build has {}",
                       fmt::join(built_backends(), ", ")));
    for (const DeviceInfo& device : devices) {
      print(fmt::format("{}{}\n", device.selector, device.chosen_by_auto ? "  (auto)" : ""));
      print(fmt::format(
          "  name     {}\n  type     {}\n  threads  {}\n  memory   {} of {} available\n",
          printable(device.name), device.type, device.n_threads,
          bytes_text(device.memory_available_bytes), bytes_text(device.memory_total_bytes)));
      print(fmt::format("  why      {}\n", device.reason));
    }
    return static_cast<int>(kDone);
  };
}

}  // namespace bitaxon::tool
