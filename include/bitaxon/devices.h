// The devices of this machine, and opening one as a backend.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bitaxon/backend.h"
#include "bitaxon/export.h"
#include "bitaxon/memory.h"

namespace bitaxon {

struct DeviceProperty {
  std::string name;
  std::string value;
};

struct DeviceInfo {
  std::string selector;  ///< what --device takes: "cpu", "reference", "vulkan:0"
  std::string name;
  /// "cpu", "discrete", "integrated", "virtual", "other"; "driver": a Vulkan driver that cannot be
  /// used, so its devices are not known
  std::string type;
  std::uint64_t memory_total_bytes = 0;
  std::uint64_t memory_available_bytes = 0;
  std::shared_ptr<const BackendDescription> description;  ///< as of when the device was listed
  int n_threads = 0;                                      ///< 0: not counted in threads
  /// Of the vectorized kernels: "AVX-512 VNNI". Empty: there is none to choose.
  std::string instruction_set;
  bool usable = true;  ///< when named
  bool chosen_by_auto = false;
  std::string reason;  ///< why it is chosen by auto, or why not

  // Of devices with a driver; empty where the driver does not say.
  int index = -1;               ///< among the devices of its backend; -1: they are not numbered
  std::string driver;           ///< name and version
  std::string driver_manifest;  ///< of a driver that cannot be used: the file that names it
  std::string api_version;
  std::string uuid;
  std::string pci_address;
  std::vector<DeviceProperty> limits;
  std::vector<DeviceProperty> features;
};

struct DeviceList {
  std::vector<DeviceInfo> devices;
  std::string note;     ///< why there is no Vulkan device, or what keeps GPUs from being seen
  std::string warning;  ///< what is wrong with the Vulkan drivers' installation, if anything
};

/// Opens the Vulkan loader and its drivers for a moment, where this build has that backend. A
/// machine without them is no error.
///
/// A driver that crashes would end the process. So another program, bit-axon-probe, tries the
/// drivers first, and those that crash, hang or exit are not loaded. The result is kept in
/// ~/.cache/bit-axon. The installed helper lies in libexec/, where a program in bin/ beside that
/// folder finds it. Other programs set the variable BIT_AXON_PROBE to its path before they call
/// this or open_device(). Without the helper, drivers are loaded untried, and `warning` says so.
BX_API DeviceList find_devices();
/// The devices of find_devices().
BX_API std::vector<DeviceInfo> list_devices();

/// Backends this build has: "cpu", "reference", "vulkan".
BX_API std::vector<std::string> built_backends();

struct OpenedDevice {
  std::shared_ptr<Backend> backend;
  std::string reason;  ///< for auto: why this one
};

struct OpenOptions {
  int n_threads = 0;  ///< of CPU devices; 0: one for each usable core (reference: one)
  /// A folder like shaders/, compiled in place of the shaders of this build; empty: those. A device
  /// without shaders refuses it with an Error(invalid_argument).
  std::filesystem::path shader_dir = {};
};

/// Opens `selector`: auto, cpu, reference, vulkan[:SEL]. auto is a discrete, an integrated or a
/// virtual GPU, in this order, else the CPU. A named device that cannot be used is an
/// Error(unsupported), never a fallback; an unknown one an Error(invalid_argument).
BX_API OpenedDevice open_device(const std::string& selector, const OpenOptions& options = {});

/// The selector in DeviceInfo of what `selector` names here: the same for "vulkan:0" and for a part
/// of that device's name, for "auto" and "cpu" where auto is the CPU. `selector` itself where no
/// device is found for it; opening it then says why.
BX_API std::string resolve_device(const std::string& selector);

/// What is wrong with the form of `selector`; empty when it names a kind of device that exists,
/// whether or not it can be opened here.
BX_API std::optional<std::string> selector_problem(const std::string& selector);

}  // namespace bitaxon
