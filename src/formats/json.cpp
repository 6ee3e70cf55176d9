#include "formats/json.h"

#include "bitaxon/error.h"

namespace bitaxon {

Json parse_json(std::string_view text, std::string_view, const JsonLimits&) {
  return Json::parse(text);
}

}  // namespace bitaxon
