// Checks every #include in src/. A layer may include only lower layers.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "support/source_tree.h"

namespace bitaxon::test {
namespace {

/// The folders of all backends, including backends that are not built.
const std::vector<std::string> kBackends = {
#define BX_BACKEND(name) #name,
#define BX_MISSING_BACKEND(name, ...) #name,
#include "devices/backend_list.inc"
#undef BX_BACKEND
#undef BX_MISSING_BACKEND
};

/// For each folder of src/, the folders that it may include. A folder may also include itself and
/// the public headers. "shaders" stands for the parameter blocks in the folder shaders/, which is
/// outside of src/.
const std::map<std::string, std::set<std::string>>& allowed() {
  static std::map<std::string, std::set<std::string>> edges = {
      {"platform", {}},
      {"core", {"shaders"}},
      {"formats", {"platform", "core"}},
      {"template", {"formats", "platform"}},
      {"tokenizer", {"formats", "platform", "core"}},
      {"ops", {"core"}},
      {"model", {"ops", "formats", "platform", "core"}},
      {"eager", {"ops", "formats", "core"}},
      {"generate", {"model", "tokenizer", "formats", "core", "platform"}},
      {"training", {"model", "ops", "template", "tokenizer", "formats", "core", "platform"}},
      {"devices", {"core", "platform"}},
      {"cases", {"ops", "formats", "core"}},
      {"hub_cache", {"platform"}},
      {"hub", {"hub_cache", "formats", "platform"}},
      {"session",
       {"training", "generate", "model", "tokenizer", "template", "devices", "hub_cache", "formats",
        "core", "platform"}},
      {"c_abi",
       {"session", "generate", "model", "tokenizer", "devices", "formats", "core", "platform"}},
  };
  for (const std::string& backend : kBackends) {
    edges[backend] = {"ops", "formats", "platform", "core", "shaders"};
    edges["devices"].insert(backend);
  }
  return edges;
}

std::string first_part(const std::string& path) { return path.substr(0, path.find('/')); }

/// Calls visit(folder, file, included) for every #include "..." in the files below `root`.
template <class Visit>
int for_each_include(const std::filesystem::path& root, const Visit& visit) {
  static const std::regex kInclude(R"(^\s*#\s*include\s*"([^"]+)\")");
  int n_files = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(root)) {
    const std::string extension = entry.path().extension().string();
    if (extension != ".h" && extension != ".cpp") continue;
    ++n_files;
    const std::string file = std::filesystem::relative(entry.path(), root).generic_string();
    std::ifstream in(entry.path());
    std::smatch match;
    for (std::string line; std::getline(in, line);)
      if (std::regex_search(line, match, kInclude)) visit(first_part(file), file, match[1].str());
  }
  return n_files;
}

TEST(Layering, LayersIncludeOnlyLowerLayers) {
  const int n_files = for_each_include(
      source_tree() / "src",
      [](const std::string& folder, const std::string& file, const std::string& included) {
        const std::string target = first_part(included);
        if (target == "bitaxon" || target == folder) return;
        const auto edges = allowed().find(folder);
        if (edges == allowed().end()) {
          ADD_FAILURE() << file << ": the layer of " << folder << " is not known to this test";
          return;
        }
        EXPECT_TRUE(edges->second.contains(target)) << fmt::format(
            "src/{} includes \"{}\": {} may not use {}", file, included, folder, target);
      });
  EXPECT_GT(n_files, 50);
}

}  // namespace
}  // namespace bitaxon::test
