// bit-axon doctor: whether a device computes right, and how fast it is beside its own rates.
#include <algorithm>

#include "bitaxon/error.h"
#include "console.h"
#include "doctor/doctor_report.h"
#include "options.h"
#include "platform/printable.h"
#include "platform/signals.h"

namespace bitaxon::tool {
namespace {

struct DoctorOptions {
  ModelOptions model;  ///< only its preset
  DeviceOptions device;
  OutputOptions output;
  bool json = false;
};

DeviceInfo named_device(const std::string& selector) {
  const std::string wanted = resolve_device(selector);
  const std::vector<DeviceInfo> devices = list_devices();
  const auto found = std::ranges::find(devices, wanted, &DeviceInfo::selector);
  if (found != devices.end()) return *found;
  // open_device() says why there is no such device.
  open_device(selector);
  throw Error(ErrorKind::unsupported,
              fmt::format("device {}: expected a device that `bit-axon devices` lists",
                          printable(selector)));
}

int run_command(const DoctorOptions& wanted) {
  wanted.device.check();
  check_preset(wanted.model);
  const DeviceInfo device = named_device(wanted.device.device);
  ExaminationLengths lengths = ExaminationLengths::for_device(device);
  if (!wanted.model.preset.empty())
    lengths.presets = {wanted.model.preset};
  else if (device.type == "cpu" && !wanted.output.quiet)
    note_dim(
        fmt::format("{} is a CPU: its speed is measured with the preset {}, unless --preset "
                    "names another",
                    printable(device.selector), lengths.presets.front()));
  const auto open = [&] { return open_device(device.selector, wanted.device.open_options()); };
  const Examination found =
      examine(device, open, lengths, catch_interrupts(), [&](std::string_view part) {
        if (!wanted.output.quiet) note_dim(fmt::format("{} ...", part));
      });
  print(wanted.json ? report_json(found).dump(2) + "\n" : report_text(found));
  if (found.interrupted) return kInterrupted;
  return found.problem().empty() ? kDone : kFailed;
}

}  // namespace

void add_doctor(CommandLine& line) {
  auto wanted = std::make_shared<DoctorOptions>();
  Command& command = line.add_command(
      "doctor", "Check that a device computes right, and how close it comes to its own rates");
  command.add("--device", wanted->device.device, "The device to examine, as --device of run")
      .environment(kDeviceVariable)
      .type("DEVICE")
      .show_default();
  command
      .add("--preset", wanted->model.preset,
           "The shape of the model whose speed is measured (default: small on a CPU, else the "
           "largest of default, medium and small that fits)")
      .type("NAME")
      .not_empty();
  add_shader_option(command, wanted->device);
  add_output_options(command, wanted->output);
  command.add("--json", wanted->json, "Print one JSON object, for a report of a problem");
  command.runs([wanted] { return run_command(*wanted); });
}

}  // namespace bitaxon::tool
