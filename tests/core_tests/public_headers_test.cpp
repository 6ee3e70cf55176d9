// Checks that the public headers use public types only. Another check, the target
// bitaxon_verify_interface_header_sets, compiles each header alone. This program depends on that
// target.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <string>

#include "support/source_tree.h"

namespace bitaxon::test {
namespace {

/// Types that users of the library hold or pass on, but never look into. Only the library has their
/// definitions.
const std::set<std::string> kOpaque = {"Backend", "BackendDescription", "Graph"};

/// Calls visit(place, line, line before it) for every line of the public headers.
template <class Visit>
int for_each_line(const Visit& visit) {
  int n_files = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator(source_tree() / "include" / "bitaxon")) {
    ++n_files;
    std::ifstream in(entry.path());
    std::string above;
    int number = 0;
    for (std::string line; std::getline(in, line); above = line)
      visit(fmt::format("{}:{}", entry.path().filename().string(), ++number), line, above);
  }
  return n_files;
}

TEST(PublicHeaders, IncludeNothingOfTheSources) {
  const std::regex include(R"re(^\s*#\s*include\s*"([^"]+)")re");
  std::smatch match;
  const int n_files = for_each_line([&](const std::string& place, const std::string& line, auto&&) {
    if (std::regex_search(line, match, include)) {
      EXPECT_TRUE(match[1].str().starts_with("bitaxon/")) << place << ": " << line;
    }
  });
  EXPECT_GT(n_files, 5);
}

// To use a type, a header must define or declare it. A type that is only declared must be in
// kOpaque, or be the type Impl inside of a class.
TEST(PublicHeaders, NameNoTypeThatOnlyTheSourcesDefine) {
  const std::regex declaration(R"(^(\s*)(?:class|struct|enum class)\s+(\w+)\s*;)");
  const std::regex in_place(R"([<(,]\s*(?:const\s+)?(?:class|struct)\s+\w+)");
  std::smatch match;
  for_each_line([&](const std::string& place, const std::string& line, const std::string& above) {
    if (line.find("template") == line.npos) {
      EXPECT_FALSE(std::regex_search(line, in_place)) << place << ": " << line;
    }
    if (!std::regex_search(line, match, declaration)) return;
    if (match[1].length() > 0) {
      EXPECT_EQ(match[2], "Impl") << place << ": " << line;
      return;
    }
    EXPECT_TRUE(kOpaque.contains(match[2].str())) << place << ": " << line;
    EXPECT_TRUE(above.starts_with("///")) << place << ": says nothing about " << match[2];
  });
}

TEST(PublicHeaders, ExportWhatTheSourcesDefine) {
  const std::regex function(R"(^[A-Za-z_][\w:<>,&* ]*\w\()");
  const std::regex not_exported(R"(^(class|struct) \w+ .*\{$)");
  const std::regex member(R"(^  [\w:<>,&* ]*\w\(.*\).*;$)");
  bool in_plain_struct = false;
  for_each_line([&](const std::string& place, const std::string& line, auto&&) {
    const bool is_inline = line.starts_with("constexpr ") || line.starts_with("inline ");
    if (!is_inline && std::regex_search(line, function)) {
      EXPECT_TRUE(line.starts_with("BX_API ")) << place << ": " << line;
    }
    if (std::regex_search(line, not_exported) && line.find(" BX_API ") == line.npos) {
      EXPECT_TRUE(line.starts_with("struct ")) << place << ": " << line;
      in_plain_struct = true;
    }
    if (line == "};") in_plain_struct = false;
    const bool is_defined = line.find('=') != line.npos || line.find('{') != line.npos ||
                            line.find("std::function") != line.npos;
    if (in_plain_struct && !is_defined) {
      EXPECT_FALSE(std::regex_search(line, member)) << place << ": " << line;
    }
  });
}

}  // namespace
}  // namespace bitaxon::test
