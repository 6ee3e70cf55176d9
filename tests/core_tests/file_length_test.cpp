// Limits the length of source files, so that a reader can keep a whole file in mind.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

#include "support/source_tree.h"

namespace bitaxon::test {
namespace {

void expect_files_below(std::string_view folder, std::ptrdiff_t most_lines) {
  int n_files = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(source_tree() / folder)) {
    const std::string extension = entry.path().extension().string();
    if (extension != ".h" && extension != ".cpp") continue;
    std::ifstream file(entry.path());
    const auto n_lines =
        std::count(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>(), '\n');
    EXPECT_LT(n_lines, most_lines) << entry.path() << ": has it two subjects?";
    ++n_files;
  }
  EXPECT_GT(n_files, 0) << folder;
}

TEST(FileLength, IsLimited) {
  for (const std::string_view folder : {"src", "include", "tools"}) expect_files_below(folder, 400);
  expect_files_below("tests", 650);
}

}  // namespace
}  // namespace bitaxon::test
