// The folders of the source tree from which tests read.
#pragma once

#include <filesystem>

namespace bitaxon::test {

/// $BITAXON_TEST_TREE if set, otherwise the source tree of this program. A program stores the
/// relative path from itself to the source tree, so that it contains no path of the machine that
/// built it.
std::filesystem::path source_tree();

inline std::filesystem::path golden_dir() { return source_tree() / "tests" / "golden"; }
inline std::filesystem::path bundled_model_dir() {
  return source_tree() / "models" / "tiny-shakespeare";
}

}  // namespace bitaxon::test
