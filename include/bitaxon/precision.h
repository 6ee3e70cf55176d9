// How exactly a model computes.
#pragma once

#include <cstdint>
#include <string_view>

#include "bitaxon/export.h"

namespace bitaxon {

/// exact: activations, accumulation, keys and values are float32. fast: keys and values have 16
/// bits, and a backend may use products of lower precision. Router logits, time steps, norms,
/// softmax, scan and recurrent state stay float32.
enum class Precision : std::uint8_t { exact, fast };
BX_API std::string_view name_of(Precision precision);

}  // namespace bitaxon
