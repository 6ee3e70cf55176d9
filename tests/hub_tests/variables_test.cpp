// Tests of environment variables that name folders. The program reads these variables in the same
// way as the hub's own tools.
#include <gtest/gtest.h>
#include <pwd.h>
#include <unistd.h>

#include <tuple>

#include "fake_hub.h"
#include "platform/paths.h"

namespace bitaxon::test {
namespace {

namespace fs = std::filesystem;

class VariablesTest : public HubTest {
 protected:
  VariablesTest() {
    hub_.add("config.json", "{}", false);
    surroundings_.environment["HOME"] = (cache_ / "user").string();
    surroundings_.environment["NAME"] = "name";
    surroundings_.environment["PLACE"] = (cache_ / "place").string();
    surroundings_.folder = cache_.path();
  }
  /// The folder that a download reports if the variable `name` has this value and HF_HOME is empty.
  std::string folder_with(const std::string& name, const std::string& value) {
    Surroundings surroundings = surroundings_;
    surroundings.environment["HF_HOME"] = "";
    surroundings.environment[name] = value;
    const Finished finished = run({"download", "owner/name", "--quiet"}, "", surroundings);
    EXPECT_EQ(finished.err, "") << name << "=" << value;
    return finished.out;
  }
};

TEST_F(VariablesTest, SetTheFolderOfTheCache) {
  for (const auto& [name, value, place] : {std::tuple("HF_HOME", "~/a/b", "user/a/b/hub"),
                                           {"HF_HOME", "$PLACE/a", "place/a/hub"},
                                           {"HF_HOME", "~/${NAME}/a", "user/name/a/hub"},
                                           {"HF_HUB_CACHE", "~", "user"},
                                           {"HF_HUB_CACHE", "${PLACE}/$NONE", "place/$NONE"},
                                           {"HUGGINGFACE_HUB_CACHE", "$HOME/c", "user/c"},
                                           {"XDG_CACHE_HOME", "$PLACE", "place/huggingface/hub"},
                                           {"XDG_CACHE_HOME", "", "user/.cache/huggingface/hub"}})
    EXPECT_EQ(folder_with(name, value),
              (cache_ / place / "models--owner--name/snapshots" / kCommit).string() + "\n")
        << name << "=" << value;
  EXPECT_FALSE(fs::exists(cache_ / "~"));
  EXPECT_FALSE(fs::exists(cache_ / "$PLACE"));
}

TEST_F(VariablesTest, SetTheToken) {
  fs::create_directories(cache_ / "user/a");
  write_file(cache_ / "user/a/token", "hf_file");
  for (const auto& [name, value, token] : {std::tuple("HF_TOKEN_PATH", "~/a/token", "hf_file"),
                                           {"HF_HOME", "$HOME/a", "hf_file"},
                                           {"HUGGING_FACE_HUB_TOKEN", "hf_old", "hf_old"},
                                           {"HF_TOKEN", "hf_new", "hf_new"}}) {
    folder_with(name, value);
    EXPECT_EQ(hub_.server.requests().back().field("authorization"), std::string("Bearer ") + token)
        << name;
  }
}

TEST_F(VariablesTest, LocalDirExpandsTheHomeFolder) {
  for (const Arguments& arguments :
       {Arguments{"--local-dir=~/b"}, Arguments{"--local-dir", "~/b"}, Arguments{"-d", "~/b"}}) {
    EXPECT_EQ(run_download(arguments).out, (cache_ / "user/b").string() + "\n");
    EXPECT_EQ(read_file(cache_ / "user/b/config.json"), "{}");
    fs::remove_all(cache_ / "user/b");
  }
}

TEST(ExpandPath, MatchesPython) {
  ::setenv("HOME", "/home/me/", 1);
  ::setenv("A_1", "a", 1);
  ::setenv("AGAIN", "$A_1", 1);
  ::unsetenv("NONE");
  for (const auto& [path, expanded] : {std::pair("", ""),
                                       {"/x", "/x"},
                                       {"~", "/home/me"},
                                       {"~/x", "/home/me/x"},
                                       {"x/~", "x/~"},
                                       {"~no such user/x", "~no such user/x"},
                                       {"$A_1", "a"},
                                       {"${A_1}b/$A_1-$A_1", "ab/a-a"},
                                       {"$AGAIN", "$A_1"},
                                       {"$NONE/${NONE}/x", "$NONE/${NONE}/x"},
                                       {"$", "$"},
                                       {"$/x$", "$/x$"},
                                       {"${A_1", "${A_1"},
                                       {"${}", "${}"}})
    EXPECT_EQ(expand_path(path), expanded);
  if (const passwd* root = ::getpwuid(0); root != nullptr) {
    EXPECT_EQ(expand_path("~" + std::string(root->pw_name) + "/x"),
              std::string(root->pw_dir) + "/x");
  }
  ::setenv("HOME", "/", 1);
  EXPECT_EQ(expand_path("~"), "/");
  EXPECT_EQ(expand_path("~/x"), "/x");
}

}  // namespace
}  // namespace bitaxon::test
