// The folders of the source tree that tests read.
#pragma once

#include <filesystem>

namespace bitaxon::test {

/// $BITAXON_TEST_TREE if set, otherwise the source tree from which the program was built. The
/// program stores the path of this tree relative to itself, so that it contains no absolute path of
/// the build machine.
std::filesystem::path source_tree();

inline std::filesystem::path golden_dir() { return source_tree() / "tests" / "golden"; }
inline std::filesystem::path bundled_model_dir() {
  return source_tree() / "models" / "tiny-shakespeare";
}

}  // namespace bitaxon::test
