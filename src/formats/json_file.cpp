#include "formats/json_file.h"

#include "formats/pointer_file.h"
#include "platform/file.h"

namespace bitaxon {

Json read_json_file(const std::filesystem::path& file, const JsonLimits& limits) {
  const std::string text = read_whole_file(file, limits.max_bytes);
  refuse_pointer_or_empty(text, file);
  return parse_json(text, file.string(), limits);
}

}  // namespace bitaxon
