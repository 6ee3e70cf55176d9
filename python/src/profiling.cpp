// Memory and temperature, for bit_axon.profiling.
#include <nanobind/stl/optional.h>

#include "parts.h"
#include "platform/counted_memory.h"
#include "platform/temperature.h"
#include "waiting.h"

namespace nb = nanobind;

namespace bitaxon::python {

void add_profiling(nb::module_& module) {
  module.def("cpu_temperature", [] {
    const Unlocked unlocked;
    return cpu_temperature();
  });
  module.def("memory_bytes", backend_bytes);
  module.def("peak_memory_bytes", peak_backend_bytes);
  module.def("reset_peak_memory", reset_peak_backend_bytes);
}

}  // namespace bitaxon::python
