#pragma once

#include <cstdint>
#include <string_view>

#include "bitaxon/training_ops.h"

namespace bitaxon {

namespace adapter_operand {
enum : int { x, base, parameters, norms, bias, residual, y };
}

/// Checks that an adapter of a layer [out, in] lies within `parameters` and `norms`.
void check_place(std::string_view op, const AdapterPlace& place, const Tensor& parameters,
                 const Tensor& norms, std::int64_t n_in, std::int64_t n_out);

}  // namespace bitaxon
