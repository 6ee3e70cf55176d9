#include "core/assert.h"

#include <fmt/format.h>

#include "bitaxon/error.h"

namespace bitaxon {

void broken_invariant(const char* file, int line, const char* condition, const char* message) {
  throw Error(ErrorKind::internal,
              fmt::format("{}:{}: broken invariant: {} ({})", file, line, message, condition));
}

}  // namespace bitaxon
