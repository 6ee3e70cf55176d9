// The results of a benchmark for programs.
#pragma once

#include <optional>
#include <string>

#include "bitaxon/benchmark.h"
#include "formats/json_fwd.h"

namespace bitaxon::tool {

/// A number that may be missing. Null if it is, or if it is not finite.
Json optional_json(const std::optional<double>& value);
/// The dispatches of a step. Null for a device without dispatches, such as a CPU.
Json dispatches_json(const BenchRecord& record);
/// The JSON object that docs/schemas/benchmark.schema.json describes.
Json report_json(const Benchmark& found);
/// A header, one row for each record, then one row for each op of each profile. The columns are the
/// fields of records and of ops in JSON. A record leaves the op's columns empty, and an op leaves
/// the columns of a whole test empty.
std::string csv_text(const Benchmark& found);

}  // namespace bitaxon::tool
