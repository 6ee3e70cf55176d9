// Devices, and how this build was made.
#include "bitaxon/devices.h"

#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/vector.h>

#include "parts.h"
#include "platform/build_info.h"
#include "waiting.h"

namespace nb = nanobind;

namespace bitaxon::python {
namespace {

nb::dict describe(const DeviceInfo& device) {
  nb::dict out;
  out["selector"] = device.selector;
  out["name"] = device.name;
  out["type"] = device.type;
  out["memory_total_bytes"] = device.memory_total_bytes;
  out["memory_available_bytes"] = device.memory_available_bytes;
  out["n_threads"] = device.n_threads;
  out["instruction_set"] = device.instruction_set;
  out["driver"] = device.driver;
  out["usable"] = device.usable;
  out["chosen_by_auto"] = device.chosen_by_auto;
  out["reason"] = device.reason;
  return out;
}

nb::list list() {
  std::vector<DeviceInfo> devices;
  {
    const Unlocked unlocked;
    devices = list_devices();
  }
  nb::list out;
  for (const DeviceInfo& device : devices) out.append(describe(device));
  return out;
}

nb::dict build() {
  const BuildInfo& build = build_info();
  nb::dict out;
  out["version"] = build.version;
  out["commit"] = build.commit;
  out["build_type"] = build.build_type;
  out["compiler"] = build.compiler;
  out["backends"] = built_backends();
  return out;
}

}  // namespace

void add_devices(nb::module_& module) {
  module.def("list_devices", list);
  module.def("build_info", build);
}

}  // namespace bitaxon::python
