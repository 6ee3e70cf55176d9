#pragma once

namespace bitaxon {

struct AdamwParams {};

namespace adamw_operand {
enum : int { parameters, gradients, first, second, numbers };
}

/// The places of the elements of `numbers`.
namespace adamw_number {
enum : int { clip, rate, decay, b1, b2, c1, c2, eps, count };
}

}  // namespace bitaxon
