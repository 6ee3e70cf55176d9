#include "support/source_tree.h"

#include "platform/paths.h"

namespace bitaxon::test {

std::filesystem::path source_tree() {
  if (const auto given = environment_path("BITAXON_TEST_TREE")) return *given;
  return (executable_path().parent_path() / BX_SOURCE_FROM_TESTS).lexically_normal();
}

}  // namespace bitaxon::test
