#pragma once

namespace bitaxon {

struct SiluMulParams {};

namespace silu_mul_operand {
enum : int { gate, up, y };
}

}  // namespace bitaxon
