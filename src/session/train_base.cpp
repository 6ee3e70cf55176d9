#include "session/train_base.h"

namespace bitaxon {

BaseModel training_base(const FoundModel& found, std::vector<std::string>& warnings) {
  const ModelRequest& request = found.request;
  if (found.source) return BaseModel::of_files(found.source->files, request.quantize, warnings);
  return BaseModel::random(found.preset, request.seed,
                           {.codes = request.random_codes, .quantize = request.quantize});
}

}  // namespace bitaxon
