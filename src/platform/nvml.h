// The temperature sensors of NVIDIA's own driver, which Linux does not show among its sensors.
#pragma once

#include <optional>
#include <string>

#include "platform/dynamic_library.h"

namespace bitaxon {

/// NVIDIA's management library (NVML), which comes with NVIDIA's driver. Source: NVML API reference.
class Nvml {
 public:
  /// Opens the library that the system's linker finds by this name. Without one, or if the library
  /// fails to start, the object gives no readings.
  explicit Nvml(const std::string& library = "libnvidia-ml.so.1");
  Nvml(const Nvml&) = delete;
  Nvml& operator=(const Nvml&) = delete;
  ~Nvml();

  /// The temperature of the device at a PCI address ("0000:65:00.0"), in degrees Celsius. Empty if the
  /// library does not know the device or its temperature.
  std::optional<double> temperature(const std::string& address) const;

 private:
  struct Device;
  using Shutdown = int();
  using FindDevice = int(const char* address, Device** device);
  using ReadTemperature = int(Device* device, int sensor, unsigned* celsius);

  DynamicLibrary library_;
  Shutdown* shutdown_ = nullptr;  ///< null if the library was not started
  FindDevice* find_device_ = nullptr;
  ReadTemperature* read_temperature_ = nullptr;
};

}  // namespace bitaxon
