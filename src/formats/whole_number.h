// Reads whole numbers of JSON.
#pragma once

#include <cstdint>
#include <optional>

#include "formats/json_fwd.h"

namespace bitaxon {

/// The value, if it is a whole number of 64 bits. Some programs write whole numbers as 1.0. Such a
/// number counts up to 2^53.
std::optional<std::int64_t> whole_number(const Json& value);

}  // namespace bitaxon
