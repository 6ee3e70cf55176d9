// Tests with full disks, folders that cannot be written, links that lead elsewhere, and concurrent
// downloads.
#include <gtest/gtest.h>

#include <chrono>

#include "fake_hub.h"
#include "hub_cache/hub_cache.h"
#include "platform/file_lock.h"
#include "support/errors.h"
#include "support/file_size_limit.h"

namespace bitaxon::test {
namespace {

namespace fs = std::filesystem;

class DiskTest : public HubTest {
 protected:
  DiskTest() {
    hub_.add("model.safetensors", some_bytes(300'000), true);
    hub_.add("folder/config.json", "{}", false);
  }
};

TEST_F(DiskTest, AFullDiskKeepsThePartialFile) {
  {
    const FileSizeLimit limit(100'000);
    expect_error([&] { download(); }, ErrorKind::io, {".incomplete: cannot write"});
  }
  EXPECT_FALSE(fs::exists(snapshot()));
  EXPECT_EQ(fs::file_size(partial("model.safetensors")), 100'000U);
  download();
  EXPECT_EQ(hub_.fetches().back().field("range"), "bytes=100000-");
  expect_all_here();
}

TEST_F(DiskTest, RefusesADownloadLargerThanTheDisk) {
  hub_.listing["siblings"][0]["lfs"]["size"] = std::uint64_t{1} << 46;
  expect_refusal({}, 1, {"blobs: expected 64.00 TiB of free space", "got"});
  EXPECT_TRUE(hub_.fetches().empty());
  EXPECT_FALSE(fs::exists(snapshot()));
}

TEST_F(DiskTest, RefusesFoldersThatCannotBeMade) {
  for (const fs::path& home : {cache_ / "file", fs::path("/proc/none"), fs::path("/dev/null")}) {
    write_file(cache_ / "file", "");
    surroundings_.environment["HF_HOME"] = home.string();
    expect_refusal({}, 1, {home.string(), "cannot make the folder"});
    expect_refusal({"--local-dir", (home / "x").string()}, 1, {home.string()});
  }
}

/// The test may run as root, and permissions do not stop root. So the test makes locks impossible
/// and checks that no folder changes.
TEST_F(DiskTest, WritesNothingWhenNothingIsMissing) {
  download();
  fs::remove_all(cache_ / "hub/.locks");
  write_file(cache_ / "hub/.locks", "");
  const auto long_ago = fs::file_time_type::clock::now() - std::chrono::hours(1);
  for (const auto& entry : fs::recursive_directory_iterator(cache_ / "hub"))
    if (entry.is_directory()) fs::last_write_time(entry, long_ago);
  EXPECT_EQ(download(), snapshot());
  EXPECT_NE(notes_.back().find("nothing to fetch"), std::string::npos) << notes_.back();
  for (const auto& entry : fs::recursive_directory_iterator(cache_ / "hub"))
    EXPECT_TRUE(!entry.is_directory() || fs::last_write_time(entry) == long_ago) << entry;
  expect_all_here();
}

TEST_F(DiskTest, ASnapshotAppearsOnlyWithAllItsFiles) {
  const hub::CachedRepository cached("owner/name");
  // Making the link a/b fails, because a is a file. This is like a process that is killed at this
  // point.
  const std::vector<hub::Snapshot::File> broken = {{"config.json", "1"}, {"a", "2"}, {"a/b", "3"}};
  const auto add = [&](std::vector<hub::Snapshot::File> files) {
    cached.add({.commit = kCommit, .files = std::move(files), .revision = "main"}, {});
  };
  expect_error([&] { add(broken); }, ErrorKind::io, {"expected a folder, got a link"});
  EXPECT_FALSE(fs::exists(snapshot()));
  EXPECT_TRUE(cached.find_snapshot().empty());
  add({{"README.md", "4"}});
  // In an existing snapshot, config.json is added last, because a snapshot with config.json counts
  // as a model.
  expect_error([&] { add(broken); }, ErrorKind::io, {"expected a folder, got a link"});
  EXPECT_TRUE(fs::is_symlink(snapshot() / "a"));
  EXPECT_FALSE(fs::is_symlink(snapshot() / "config.json"));
  download();
  expect_all_here();
}

TEST_F(DiskTest, LinksAreNotFollowed) {
  const fs::path outside = cache_ / "outside";
  fs::create_directories(outside);
  fs::create_directories(snapshot());
  fs::create_directory_symlink(outside, snapshot() / "folder");
  expect_refusal({}, 1, {"folder: expected a folder, got a link"});
  fs::remove_all(snapshot());

  fs::remove_all(repository() / "blobs");
  fs::create_directories(repository() / "blobs");
  fs::create_symlink(outside / "new", partial("model.safetensors"));
  expect_refusal({}, 1, {".incomplete: cannot open"});

  const fs::path local = cache_ / "local";
  const Arguments into = {"--local-dir", local.string()};
  fs::create_directories(local);
  fs::create_directory_symlink(outside, local / "folder");
  expect_refusal(into, 1, {"folder: expected a folder, got a link"});
  fs::remove(local / "folder");
  fs::create_symlink(outside / "new", local / "model.safetensors");
  expect_refusal(into, 1, {"model.safetensors: expected a file or nothing, got a link"});
  fs::remove(local / "model.safetensors");
  fs::remove_all(local / ".cache");
  fs::create_directory_symlink(outside, local / ".cache");
  expect_refusal(into, 1, {".cache: expected a folder, got a link"});
  EXPECT_TRUE(fs::is_empty(outside));
}

TEST_F(DiskTest, RefusesAFolderInPlaceOfAFile) {
  fs::create_directories(blob("model.safetensors"));
  expect_refusal({}, 1, {"expected a file or nothing, got a folder"});
  fs::create_directories(cache_ / "local/model.safetensors");
  expect_refusal({"--local-dir", (cache_ / "local").string()}, 1,
                 {"model.safetensors: expected a file or nothing, got a folder"});
  EXPECT_TRUE(hub_.fetches().empty()) << "refused before any fetch";
}

TEST_F(DiskTest, RefusesFilesInItsOwnFolder) {
  hub_.add(".cache/huggingface/download/x", "x", false);
  expect_refusal({"--local-dir", (cache_ / "local").string()}, 1, {".cache", "--exclude"});
  EXPECT_EQ(
      run_download({"--local-dir", (cache_ / "local").string(), "--exclude", ".cache/"}).status, 0);
}

TEST_F(DiskTest, ASecondDownloadWaitsForTheFirst) {
  fs::create_directories(cache_ / "hub/.locks/models--owner--name");
  auto lock = FileLock::try_lock(cache_ / "hub/.locks/models--owner--name" /
                                 (hub_.id("model.safetensors") + ".lock"));
  ASSERT_TRUE(lock);
  Program second({"download", "owner/name"}, surroundings_);
  ASSERT_TRUE(second.read_until([](const std::string&, const std::string& err) {
    return err.find("another process is fetching it") != std::string::npos;
  }));
  // Acts as the first download, which finishes while the second one waits.
  write_file(blob("model.safetensors"), hub_.contents("model.safetensors"));
  lock.reset();
  const Finished finished = second.finish();
  EXPECT_EQ(finished.status, 0) << finished.describe();
  EXPECT_TRUE(hub_.fetches().empty());
  expect_all_here();
}

TEST_F(DiskTest, ManyDownloadsAtOnceFetchAFileOnce) {
  std::vector<std::unique_ptr<Program>> programs;
  for (int i = 0; i < 4; ++i)
    programs.push_back(
        std::make_unique<Program>(Arguments{"download", "owner/name"}, surroundings_));
  for (const auto& program : programs) {
    const Finished finished = program->finish();
    EXPECT_EQ(finished.status, 0) << finished.describe();
  }
  EXPECT_EQ(hub_.fetches().size(), 1U);
  expect_all_here();
}

}  // namespace
}  // namespace bitaxon::test
