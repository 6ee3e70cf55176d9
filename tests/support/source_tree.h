// The folders of the source tree that tests read.
#pragma once

#include <filesystem>

namespace bitaxon::test {

/// $BITAXON_TEST_TREE, else the source tree of this program. Its path is stored relative to the
/// program, so that no program contains a path of the machine that built it.
std::filesystem::path source_tree();

inline std::filesystem::path golden_dir() { return source_tree() / "tests" / "golden"; }
inline std::filesystem::path bundled_model_dir() {
  return source_tree() / "models" / "tiny-shakespeare";
}

}  // namespace bitaxon::test
