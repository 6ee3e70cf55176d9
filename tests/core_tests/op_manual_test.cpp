// include/bitaxon/ops.h and include/bitaxon/training_ops.h are the manuals of the ops. The comment of
// each op must say what it returns.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <regex>
#include <string>
#include <vector>

#include "ops/op.h"
#include "support/source_tree.h"

namespace bitaxon::test {
namespace {

std::vector<std::string> manual() {
  std::vector<std::string> lines;
  for (const char* name : {"ops.h", "training_ops.h"}) {
    std::ifstream in(source_tree() / "include/bitaxon" / name);
    for (std::string line; std::getline(in, line);) lines.push_back(line);
  }
  return lines;
}

/// The `///` lines directly above the declaration of `op`. Empty if `op` is not declared in these
/// lines.
std::vector<std::string> block_of(const std::vector<std::string>& lines, const std::string& op) {
  const std::regex declaration(fmt::format(R"(^BX_API \w+ {}\(.*)", op));
  std::vector<std::string> block;
  for (const std::string& line : lines) {
    if (std::regex_match(line, declaration)) return block;
    if (line.starts_with("///"))
      block.push_back(line);
    else
      block.clear();
  }
  return {};
}

TEST(OpManual, EachOpHasALineThatBeginsWithReturns) {
  const std::vector<std::string> lines = manual();
  for (int id = 0; id < kOpCount; ++id) {
    const std::string op(op_info(static_cast<OpId>(id)).name);
    const std::vector<std::string> block = block_of(lines, op);
    ASSERT_FALSE(block.empty()) << op << " has no comment";
    EXPECT_TRUE(std::ranges::any_of(block, [](const std::string& line) {
      return line.starts_with("/// Returns ");
    })) << op;
  }
}

}  // namespace
}  // namespace bitaxon::test
