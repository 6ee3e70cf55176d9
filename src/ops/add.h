#pragma once

namespace bitaxon {

struct AddParams {};

namespace add_operand {
enum : int { a, b, y };
}

}  // namespace bitaxon
