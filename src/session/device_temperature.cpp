#include "session/device_temperature.h"

#include "platform/temperature.h"

namespace bitaxon {

std::optional<double> temperature_of(const BackendCaps& caps) {
  return caps.n_threads > 0 ? cpu_temperature() : pci_temperature(caps.pci_address);
}

}  // namespace bitaxon
