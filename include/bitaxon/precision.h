// How exactly a model computes.
#pragma once

#include <cstdint>
#include <string_view>

#include "bitaxon/export.h"

namespace bitaxon {

/// With `exact`, activations, accumulation, keys and values are float32. With `fast`, keys and
/// values have 16 bits, and a backend may compute products in lower precision. Router logits, time
/// steps, norms, softmax, scan and recurrent state are float32 in both.
enum class Precision : std::uint8_t { exact, fast };
BX_API std::string_view name_of(Precision precision);

}  // namespace bitaxon
