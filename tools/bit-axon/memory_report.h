// What a model needs of memory, as the program says it.
#pragma once

#include <string>
#include <vector>

#include "bitaxon/memory.h"
#include "formats/json.h"
#include "model/weights.h"

namespace bitaxon::tool {

/// Lines of kind, needed and available; what it is needed for below each kind.
std::string table_of(const MemoryNeed& need);

/// Whether a model fits on one device of this machine.
struct DeviceFit {
  std::string selector;
  MemoryNeed need;
  std::string problem;  ///< why it does not fit or the device cannot be used; empty: it fits
};

/// Of every device, none of which is opened; as loading with default options would decide.
std::vector<DeviceFit> fits_of(const Config& config, const std::vector<FoundWeight>& weights);

Json fit_json(const DeviceFit& fit);
/// "yes: 2.20 GiB of system memory needed, 20.11 GiB available, 17.91 GiB left"
std::string fit_text(const DeviceFit& fit);

}  // namespace bitaxon::tool
