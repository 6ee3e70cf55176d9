// Tests of how the path of an adapter leads to a file.
#include "model/adapter_file.h"

#include <gtest/gtest.h>

#include "support/errors.h"
#include "support/temporary_folder.h"

namespace bitaxon::test {
namespace {

namespace fs = std::filesystem;

class AdapterFileTest : public testing::Test {
 protected:
  fs::path add(const std::string& name) const {
    fs::create_directories((folder_ / name).parent_path());
    return folder_.write(name, "x");
  }
  void expect_none(const std::string& name, std::initializer_list<std::string_view> fragments) {
    expect_error([&] { find_adapter(folder_ / name); }, ErrorKind::io, fragments);
  }

  TemporaryFolder folder_;
};

TEST_F(AdapterFileTest, AcceptsAFile) {
  const fs::path file = add("a.bin");
  EXPECT_EQ(find_adapter(file), file);
  const fs::path link = folder_ / "link";
  fs::create_symlink("nowhere", link);
  EXPECT_EQ(find_adapter(link), link);  // the error comes when the broken link is opened
}

TEST_F(AdapterFileTest, AcceptsAFileNameWithoutItsEnding) {
  const fs::path file = add("run/final_adapter.safetensors");
  EXPECT_EQ(find_adapter(folder_ / "run/final_adapter"), file);
  expect_none("run/final", {"run/final", "found nothing there"});
}

TEST_F(AdapterFileTest, FindsTheAdapterAmongTheFilesOfACheckpoint) {
  const fs::path file = add("step_00000100/adapters.safetensors");
  add("step_00000100/optimizer_state.safetensors");
  add("step_00000100/0000100_adapters.safetensors");
  add("step_00000100/training_state.json");
  EXPECT_EQ(find_adapter(folder_ / "step_00000100"), file);
  EXPECT_EQ(find_adapter(folder_ / "step_00000100/"),
            folder_ / "step_00000100/adapters.safetensors");
}

TEST_F(AdapterFileTest, TheOnlyAdapterInAFolderMayHaveAnyName) {
  const fs::path file = add("one/final_adapter.safetensors");
  add("one/optimizer_state.safetensors");
  add("one/._final_adapter.safetensors");
  EXPECT_EQ(find_adapter(folder_ / "one"), file);
  add("one/other.safetensors");
  expect_none("one",
              {"expected adapters.safetensors", "final_adapter.safetensors, other.safetensors"});
  add("one/adapter_model.safetensors");
  EXPECT_EQ(find_adapter(folder_ / "one"), folder_ / "one/adapter_model.safetensors");
}

TEST_F(AdapterFileTest, TheErrorListsTheContentsOfAFolderWithoutAnAdapter) {
  fs::create_directory(folder_ / "empty");
  expect_none("empty", {"empty", "expected adapters.safetensors", "found none"});
  add("run/step_00000100/adapters.safetensors");
  add("run/step_00000200/adapters.safetensors");
  expect_none("run", {"found one in ", "run/step_00000200"});
  add("old/adapters.npz");
  expect_none("old", {"adapters.npz, a NumPy archive, which is not read"});
  add("peft/adapter_model.bin");
  expect_none("peft", {"adapter_model.bin, PyTorch's pickle format, which is not read"});
}

}  // namespace
}  // namespace bitaxon::test
