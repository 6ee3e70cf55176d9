// How hot it is, where the system tells.
#pragma once

#include <optional>
#include <string>

namespace bitaxon {

/// Degrees Celsius of the processor: what its own sensor says, the hottest of several. Empty where
/// the system has none that can be read, as in most virtual machines.
std::optional<double> cpu_temperature();

/// Likewise of the device at a PCI address ("0000:65:00.0").
std::optional<double> pci_temperature(const std::string& address);

}  // namespace bitaxon
