// The memory that a model needs, as the program prints it.
#pragma once

#include <string>

#include "bitaxon/memory.h"
#include "session/report_json.h"

namespace bitaxon::tool {

/// A table with a line for each kind of memory, which shows the needed and the available bytes.
/// Below each line, the table says what the memory is needed for.
std::string table_of(const MemoryNeed& need);

/// One line that says whether a model fits, such as
/// "yes: 2.20 GiB of system memory needed, 20.11 GiB available, 17.91 GiB left".
std::string fit_text(const DeviceFit& fit);

}  // namespace bitaxon::tool
