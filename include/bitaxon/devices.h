// Lists the devices of this machine, and opens a device as a backend.
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
  /// "cpu", "discrete", "integrated", "virtual", "other" or "driver". The last is the type of a
  /// Vulkan driver that cannot be used. Such a driver has one entry, because its devices are
  /// unknown.
  std::string type;
  std::uint64_t memory_total_bytes = 0;
  std::uint64_t memory_available_bytes = 0;
  std::shared_ptr<const BackendDescription> description;  ///< taken when the device was listed
  int n_threads = 0;                                      ///< 0 on devices that have no threads
  /// The instruction set of the vectorized kernels, such as "AVX-512 VNNI". Empty if the device has
  /// no vectorized kernels.
  std::string instruction_set;
  bool usable = true;  ///< whether open_device() can open it by its selector
  bool chosen_by_auto = false;
  std::string reason;  ///< why auto chooses or does not choose this device

  // These fields are set for devices with a driver. A field that the driver does not report is
  // empty.
  int index = -1;               ///< number within the backend; -1 if its devices have no numbers
  std::string driver;           ///< name and version
  std::string driver_manifest;  ///< the manifest file of a driver that cannot be used
  std::string api_version;
  std::string uuid;
  std::string pci_address;
  std::vector<DeviceProperty> limits;
  std::vector<DeviceProperty> features;
};

struct DeviceList {
  std::vector<DeviceInfo> devices;
  std::string note;     ///< why there is no Vulkan device, or what hides the GPUs
  std::string warning;  ///< what is wrong with the installation of Vulkan drivers; else empty
};

/// Lists the devices. If this build has the Vulkan backend, the call loads the Vulkan loader and
/// its drivers for a moment. A machine without a loader or drivers is no error.
///
/// A driver that crashes would end the process. So a helper program, bit-axon-probe, tries the
/// drivers first. Drivers that crash, hang or exit in the helper are not loaded. The result is kept
/// in ~/.cache/bit-axon. The helper is installed in libexec/, and programs in the neighboring bin/
/// find it there. Other programs set the variable BIT_AXON_PROBE to the helper's path before they
/// call find_devices() or open_device(). Without the helper, drivers are loaded untried, and
/// `warning` says so.
BX_API DeviceList find_devices();
/// The devices of find_devices().
BX_API std::vector<DeviceInfo> list_devices();

/// The backends of this build: "cpu", "reference", "vulkan".
BX_API std::vector<std::string> built_backends();

struct OpenedDevice {
  std::shared_ptr<Backend> backend;
  std::string reason;  ///< why auto chose this device; empty for a named device
};

struct OpenOptions {
  /// The number of threads of a CPU device. 0 means one thread per usable core for "cpu", and one
  /// thread for "reference".
  int n_threads = 0;
  /// A folder with the layout of shaders/. Its shaders are compiled and replace the shaders of this
  /// build. If it is empty, the shaders of this build are used. A device without shaders refuses a
  /// folder with an Error(invalid_argument).
  std::filesystem::path shader_dir = {};
  /// The variant of products of many rows in precision "fast": "float32", "float16" on devices with
  /// float16 arithmetic, or "matrix-64" or "matrix-128" on devices with matrix units. If it is empty,
  /// the device takes the variant that it has measured as the fastest. A device that lacks the variant
  /// refuses it with an Error(unsupported), and a device without variants with an
  /// Error(invalid_argument).
  std::string tiles = {};
};

/// Opens the device that `selector` names: auto, cpu, reference or vulkan[:SEL]. auto takes a
/// discrete, an integrated or a virtual GPU, in this order, else the CPU. Throws Error(unsupported)
/// for a named device that cannot be used, and never falls back to another one. Throws
/// Error(invalid_argument) for a selector of an unknown form.
BX_API OpenedDevice open_device(const std::string& selector, const OpenOptions& options = {});

/// The DeviceInfo::selector of the device that `selector` names on this machine. Different
/// selectors of one device give the same result. For example, "auto" gives "cpu" where auto takes
/// the CPU, and "vulkan:" with a part of the device's name gives "vulkan:0". Returns `selector`
/// unchanged if no device matches. open_device() then says why.
BX_API std::string resolve_device(const std::string& selector);

/// What is wrong with the form of `selector`. Empty if `selector` names a known kind of device,
/// even one that this machine cannot open.
BX_API std::optional<std::string> selector_problem(const std::string& selector);

}  // namespace bitaxon
