#pragma once

namespace bitaxon {

struct SumSquaresParams {};

namespace sum_squares_operand {
enum : int { vector, result };
}

}  // namespace bitaxon
