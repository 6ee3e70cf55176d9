#include "ops/op.h"

#include <array>

namespace bitaxon {

const OpInfo& op_info(OpId op) {
  static constexpr std::array<const OpInfo*, kOpCount> kTable = {
#define BX_OP(name) &name##_info,
#include "ops/op_list.inc"
#undef BX_OP
  };
  return *kTable[static_cast<std::size_t>(op)];
}

}  // namespace bitaxon
