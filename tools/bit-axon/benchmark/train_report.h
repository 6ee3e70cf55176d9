// The result of "benchmark --train", as text and for programs.
#pragma once

#include <string>

#include "bitaxon/train_benchmark.h"
#include "formats/json_fwd.h"

namespace bitaxon::tool {

std::string train_text(const TrainBenchmark& found);
/// The JSON object that docs/schemas/train-benchmark.schema.json describes.
Json train_json(const TrainBenchmark& found);

}  // namespace bitaxon::tool
