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

/// Null hardware of one AMD family, as Mesa's RADV driver offers it. The compiler is that of a real
/// GPU of the family. Memory, queues and commands of the device are never used. A device may be used
/// by one thread only, and each thread may use only one device.
class NullGpu {
 public:
  /// `family` is a name of RADV_FORCE_FAMILY: "navi21". If `shader_dir` is not empty, the shaders of
  /// this folder replace those of the program. Changes the environment of the process, so no other
  /// thread may run. Throws Error(unsupported) if the driver is missing or does not know the family.
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

/// The families that this project checks.
std::vector<std::string> checked_families();

}  // namespace bitaxon::gpu_code
