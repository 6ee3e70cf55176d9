// The factories of this build's backends. Each src/devices/<backend>_devices.cpp defines one.
#pragma once

#include "devices/backend_factory.h"

namespace bitaxon {

#define BX_BACKEND(name) BackendFactory name##_factory();
#define BX_MISSING_BACKEND(name, ...)
#include "devices/backend_list.inc"
#undef BX_BACKEND
#undef BX_MISSING_BACKEND

}  // namespace bitaxon
