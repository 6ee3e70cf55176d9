// The memory that a model needs, as the program prints it.
#pragma once

#include <string>
#include <vector>

#include "bitaxon/memory.h"
#include "formats/json_fwd.h"
#include "model/weights.h"

namespace bitaxon::tool {

/// A table with a line for each kind of memory, which shows the needed and the available bytes.
/// Below each line, the table says what the memory is needed for.
std::string table_of(const MemoryNeed& need);

/// Whether a model fits on one device of this machine.
struct DeviceFit {
  std::string selector;
  MemoryNeed need;
  std::string problem;  ///< why the model cannot run on the device; empty if it fits
};

/// Whether a model fits on each device, with default options. No device is opened.
std::vector<DeviceFit> fits_of(const ModelSpec& spec, const std::vector<FoundWeight>& weights);

Json fit_json(const DeviceFit& fit);
/// One line that says whether a model fits, such as
/// "yes: 2.20 GiB of system memory needed, 20.11 GiB available, 17.91 GiB left".
std::string fit_text(const DeviceFit& fit);

}  // namespace bitaxon::tool
