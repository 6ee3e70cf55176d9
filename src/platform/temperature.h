// Temperatures of processor and devices, where the system reports them.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

namespace bitaxon {

/// The highest temperature of the processor's own sensors, in degrees Celsius. Empty when the
/// system has no readable sensor, as in most virtual machines.
std::optional<double> cpu_temperature();

/// The highest temperature of the device at a PCI address ("0000:65:00.0"), in degrees Celsius: from the
/// sensors that Linux shows, or from NVIDIA's driver. Empty when the device has no readable sensor.
std::optional<double> pci_temperature(const std::string& address);

/// The temperature in a file, in degrees Celsius. The file holds one number: degrees, or, from 200
/// on, thousandths of a degree as in the files of Linux. Empty if the file cannot be read.
std::optional<double> file_temperature(const std::filesystem::path& file);

}  // namespace bitaxon
