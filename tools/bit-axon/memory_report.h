// The memory that a model needs, as the program prints it.
#pragma once

#include <string>
#include <vector>

#include "bitaxon/memory.h"
#include "formats/json_fwd.h"
#include "model/weights.h"

namespace bitaxon::tool {

/// A table: a line for each kind of memory (needed, available), and below it what it is needed for.
std::string table_of(const MemoryNeed& need);

/// Whether a model fits on one device of this machine.
struct DeviceFit {
  std::string selector;
  MemoryNeed need;
  std::string problem;  ///< why it does not fit or the device cannot be used; empty: it fits
};

/// Whether a model fits on each device, with default options. No device is opened.
std::vector<DeviceFit> fits_of(const ModelSpec& spec, const std::vector<FoundWeight>& weights);

Json fit_json(const DeviceFit& fit);
/// "yes: 2.20 GiB of system memory needed, 20.11 GiB available, 17.91 GiB left"
std::string fit_text(const DeviceFit& fit);

}  // namespace bitaxon::tool
