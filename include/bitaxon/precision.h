// How exactly a model computes.
#pragma once

#include <cstdint>
#include <string_view>

#include "bitaxon/export.h"

namespace bitaxon {

/// exact: float32 activations, accumulation, keys and values. fast: 16-bit keys and values, and
/// reduced-precision products where a backend has them; router logits, time steps, norms, softmax,
/// scan and recurrent state stay float32.
enum class Precision : std::uint8_t { exact, fast };
BX_API std::string_view name_of(Precision precision);

}  // namespace bitaxon
