// Tests that a file is flushed to disk before it gets its final name. The order must be: flush the
// files, flush their folder, rename, flush the folder that holds the new name. The functions below
// replace the system calls and record each call.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <fstream>
#include <string>
#include <vector>

#include "platform/file.h"
#include "platform/partial_file.h"
#include "support/temporary_folder.h"

namespace {

/// The recorded calls, such as "sync NAME" or "rename NAME". NAME is the last component of the
/// path. The pointer is null while calls are not recorded.
std::vector<std::string>* calls = nullptr;

std::string last_part(const std::filesystem::path& path) { return path.filename().string(); }

}  // namespace

extern "C" int fsync(int fd) {
  if (calls != nullptr) {
    std::error_code ignored;
    calls->push_back("sync " + last_part(std::filesystem::read_symlink(
                                   "/proc/self/fd/" + std::to_string(fd), ignored)));
  }
  return static_cast<int>(::syscall(SYS_fsync, fd));
}

extern "C" int rename(const char* from, const char* to) noexcept {
  if (calls != nullptr) calls->push_back("rename " + last_part(to));
  return static_cast<int>(::syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0));
}

namespace bitaxon {
namespace {

using test::TemporaryFolder;

class SyncTest : public testing::Test {
 protected:
  SyncTest() { calls = &calls_; }
  ~SyncTest() override { calls = nullptr; }

  /// Whether `call` flushes the temporary file of `name`, which has a name such as
  /// "NAME.0123abcd.tmp".
  static bool is_temporary(const std::string& call, const std::string& name) {
    return call.starts_with("sync " + name + ".") && call.ends_with(".tmp");
  }

  TemporaryFolder folder_;
  const std::string parent_ = "sync " + folder_.path().filename().string();
  std::vector<std::string> calls_;
};

TEST_F(SyncTest, AFileIsFlushedBeforeItsRename) {
  AtomicFile file(folder_ / "new");
  file.write("text");
  file.commit();
  ASSERT_EQ(calls_.size(), 3U);
  EXPECT_TRUE(is_temporary(calls_[0], "new")) << calls_[0];
  EXPECT_EQ(calls_[1], "rename new");
  EXPECT_EQ(calls_[2], parent_);
}

TEST_F(SyncTest, AFileInTheWorkingFolderFlushesThatFolder) {
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(folder_.path());
  AtomicFile file("new");
  file.commit();
  std::filesystem::current_path(before);
  EXPECT_EQ(calls_.back(), parent_);
}

TEST_F(SyncTest, ADownloadIsFlushedBeforeItsRename) {
  PartialFile file(folder_ / "part");
  file.append(std::as_bytes(std::span("text")));
  file.publish(folder_ / "whole");
  EXPECT_EQ(calls_, (std::vector<std::string>{"sync part", "rename whole", parent_}));
}

TEST_F(SyncTest, AFolderIsFlushedWithEverythingInIt) {
  AtomicFolder folder(folder_ / "new");
  std::filesystem::create_directory(folder.temporary() / "inner");
  std::ofstream(folder.temporary() / "inner" / "file") << "text";
  folder.commit();
  ASSERT_EQ(calls_.size(), 5U);
  EXPECT_EQ(calls_[0], "sync file");
  EXPECT_EQ(calls_[1], "sync inner");
  EXPECT_TRUE(is_temporary(calls_[2], "new")) << calls_[2];
  EXPECT_EQ(calls_[3], "rename new");
  EXPECT_EQ(calls_[4], parent_);
}

}  // namespace
}  // namespace bitaxon
