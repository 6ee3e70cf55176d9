// Tests of --shader-dir: the program uses the shaders in a folder instead of its embedded shaders.
#include <gtest/gtest.h>

#include "model_folder.h"
#include "program.h"
#include "support/source_tree.h"
#include "support/temporary_folder.h"

namespace bitaxon::test {
namespace {

namespace fs = std::filesystem;

class ShaderDirCli : public testing::Test {
 protected:
  ShaderDirCli() {
    fs::copy(source_tree() / "shaders", dir(), fs::copy_options::recursive);
    surroundings_.environment["XDG_CACHE_HOME"] = (folder_ / "cache").string();
  }

  fs::path dir() const { return folder_ / "shaders"; }
  void edit(const std::string& file, const std::string& from, const std::string& to) const {
    std::string text = read_file(dir() / file);
    const std::size_t at = text.find(from);
    ASSERT_NE(at, std::string::npos) << file << " has no " << from;
    write_file(dir() / file, text.replace(at, from.size(), to));
  }

  Finished generate(const Arguments& more) const {
    return run(Arguments{"run", "--quiet", "--device", "vulkan:llvmpipe", "--temperature", "0",
                         "--max-tokens", "4", "--json", "--prompt", "ROMEO:"} +
                   more,
               {}, surroundings_);
  }
  Json tokens(const Arguments& more) const {
    const Finished finished = generate(more);
    EXPECT_EQ(finished.status, 0) << finished.describe();
    return Json::parse(finished.out)["token_ids"];
  }
  Finished with_folder() const { return generate({"--shader-dir", dir().string()}); }
  void expect_refused(const std::vector<std::string>& mentioned) const {
    const Finished finished = with_folder();
    EXPECT_EQ(finished.status, 1) << finished.describe();
    EXPECT_EQ(finished.out, "");
    EXPECT_EQ(finished.err_lines().size(), 1U) << finished.err;
    for (const std::string& words : mentioned)
      EXPECT_NE(finished.err.find(words), std::string::npos) << words << "\n" << finished.err;
  }

  TemporaryFolder folder_;
  Surroundings surroundings_;
};

class LengthyShaderDirCli : public ShaderDirCli {};

TEST_F(LengthyShaderDirCli, CopiedShadersComputeTheSameAndEditsTakeEffect) {
  const Arguments from_folder = {"--shader-dir", dir().string()};
  const Json same = tokens(from_folder);
  EXPECT_EQ(same.size(), 4U);
  edit("sample_draw.comp", "tokens[g] = token;", "tokens[g] = 1;");
  const Json edited = tokens(from_folder);
  EXPECT_EQ(edited, Json({1, 1, 1, 1}));
  for (const auto& entry : fs::directory_iterator(folder_ / "cache/bit-axon"))
    EXPECT_NE(entry.path().extension(), ".pipelines") << "pipelines of the folder are kept";
  EXPECT_EQ(tokens({}), same);
}

TEST_F(ShaderDirCli, NamesFileAndLineOfAMistake) {
  write_file(dir() / "lib/step.glsl", "\n\nuint broken = ;\n");
  expect_refused({(dir() / "lib/step.glsl").string() + ":3: error"});
}

TEST_F(ShaderDirCli, NamesAShaderThatDoesNotFitItsLaunch) {
  edit("params/embed.h", "uint seen_slot;", "uint more;\n  uint seen_slot;");
  expect_refused({"shader embed", "push constants: expected 44 bytes, got 48"});
}

TEST_F(ShaderDirCli, NamesAMissingShader) {
  fs::remove(dir() / "embed.comp");
  expect_refused({(dir() / "embed.comp").string()});
  fs::remove_all(dir());
  expect_refused({dir().string() + ":", "folder"});
}

TEST_F(ShaderDirCli, CompareUsesTheFolderForDeviceB) {
  edit("sample_draw.comp", "tokens[g] = token;", "tokens[g] = 1;");
  const Finished finished =
      run({"compare", "--quiet", "--json", "--a", "vulkan:llvmpipe", "--b", "vulkan:llvmpipe",
           "--shader-dir", dir().string(), "--max-tokens", "2", "--prompt", "ROMEO:"},
          {}, surroundings_);
  ASSERT_EQ(finished.status, 1) << finished.describe();
  const Json report = Json::parse(finished.out);
  // The sampler chooses only the second token. The first token comes from the logits of the prompt.
  EXPECT_EQ(report["greedy"]["b_token_ids"][1], 1) << finished.out;
  EXPECT_NE(report["greedy"]["a_token_ids"][1], 1) << finished.out;
}

}  // namespace
}  // namespace bitaxon::test
