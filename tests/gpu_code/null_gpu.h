// A GPU that is not there, whose driver compiles shaders as for a real one. Nothing is executed.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "vulkan/device/device_caps.h"
#include "vulkan/run/launch.h"

namespace bitaxon::gpu_code {

/// What the driver says about the code of one pipeline.
struct DriverCode {
  std::uint32_t subgroup_size = 0;
  std::map<std::string, std::uint64_t> statistics;  ///< by the driver's names: "VGPRs", ...
  std::string assembly;  ///< the machine code as text, if it was asked for
};

/// The vendor of a family, and with it the driver of Mesa that compiles: RADV, ANV or NVK.
enum class Vendor : std::uint8_t { amd, intel, nvidia };

/// A family is a name of RADV_FORCE_FAMILY ("navi21"), a platform of Intel ("intel:dg2"), or the
/// number of a chip of NVIDIA ("nvidia:162").
Vendor vendor_of(const std::string& family);

/// A GPU of one family that is not there, as a driver of Mesa offers it. The compiler is that of a
/// real GPU of the family. AMD's driver has null hardware until Mesa 25. Newer ones, and those of Intel and NVIDIA, open a GPU
/// if Mesa's stub kernel for it is preloaded into the process, with the family in a variable of the
/// environment (tests/drivers/run does both). Memory,
/// queues and commands of the device are never used. A device may be used by one thread only, and
/// each thread may use only one device.
class NullGpu {
 public:
  /// If `shader_dir` is not empty, the shaders of this folder replace those of the program. Changes
  /// the environment of the process, so no other thread may run. Throws Error(unsupported) if the
  /// driver is missing or does not open a GPU of the family.
  NullGpu(const std::string& family, const std::filesystem::path& shader_dir);
  NullGpu(const NullGpu&) = delete;
  NullGpu& operator=(const NullGpu&) = delete;
  ~NullGpu();

  /// The properties of the device, with memory of the size that a real one may have.
  const vulkan::DeviceCaps& caps() const;
  /// Compiles the pipeline of a launch. Throws Error(device) if the driver fails, and
  /// Error(invalid_argument) if the launch does not fit its shader.
  DriverCode compile(const vulkan::Launch& launch, bool with_assembly = true);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// The families that this project checks on Debian 12.
std::vector<std::string> checked_families();

}  // namespace bitaxon::gpu_code
