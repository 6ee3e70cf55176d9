// The temperature of the device of a backend.
#pragma once

#include <optional>

#include "bitaxon/backend.h"

namespace bitaxon {

/// In degrees Celsius. Empty when the device has no readable sensor.
std::optional<double> temperature_of(const BackendCaps& caps);

}  // namespace bitaxon
