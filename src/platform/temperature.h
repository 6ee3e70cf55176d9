// Temperatures of processor and devices, where the system reports them.
#pragma once

#include <optional>
#include <string>

namespace bitaxon {

/// The highest temperature of the processor's own sensors, in degrees Celsius. Empty when the
/// system has no readable sensor, as in most virtual machines.
std::optional<double> cpu_temperature();

/// The highest temperature of the device at a PCI address ("0000:65:00.0"), in degrees Celsius.
/// Empty when the device has no readable sensor.
std::optional<double> pci_temperature(const std::string& address);

}  // namespace bitaxon
