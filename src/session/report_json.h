// Reports as JSON, in one form for the program and for the interfaces to other languages.
#pragma once

#include <string>
#include <vector>

#include "bitaxon/devices.h"
#include "bitaxon/model.h"
#include "bitaxon/rewrite.h"
#include "formats/json_fwd.h"
#include "model/weights.h"

namespace bitaxon {

/// A list with an object for each device (docs/schemas/devices.schema.json).
Json devices_json(const DeviceList& list);

/// Whether a model fits on one device of this machine.
struct DeviceFit {
  std::string selector;
  MemoryNeed need;
  std::string problem;  ///< why the model cannot run on the device; empty if it fits
};

/// Whether a model fits on each device. No device is opened.
std::vector<DeviceFit> fits_of(const ModelSpec& spec, const std::vector<FoundWeight>& weights,
                               const LoadOptions& options = {});
Json fit_json(const DeviceFit& fit);

/// The parts and the total of a rewritten model.
Json rewrite_json(const RewriteReport& report);

}  // namespace bitaxon
