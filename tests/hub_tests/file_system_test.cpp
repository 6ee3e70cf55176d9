// Tests with file systems that have no locks or no symbolic links, and with a cache that belongs to
// another user.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <stdexcept>

#include "fake_hub.h"
#include "hub_cache/hub_cache.h"
#include "platform/partial_file.h"
#include "support/errors.h"
#include "support/source_tree.h"

namespace bitaxon::test {
namespace {

namespace fs = std::filesystem;

int no_flock(int, int) {
  errno = ENOSYS;
  return -1;
}

int no_symlink(const char*, const char*) {
  errno = EPERM;
  return -1;
}

class FileSystemTest : public HubTest {
 protected:
  FileSystemTest() {
    hub_.add("model.safetensors", some_bytes(300'000), true);
    hub_.add("same.safetensors", some_bytes(300'000), true);
    hub_.add("folder/config.json", "{}", false);
    hub_.add("config.json", "[]", false);
  }
  /// Expects that the snapshot has all files of the hub as plain files, and that no blob is left.
  void expect_all_plain() const {
    for (const Json& file : hub_.listing["siblings"]) {
      const fs::path path = snapshot() / file["rfilename"].get<std::string>();
      EXPECT_TRUE(fs::is_regular_file(fs::symlink_status(path))) << path;
      EXPECT_EQ(read_file(path), hub_.contents(file["rfilename"])) << path;
    }
    EXPECT_TRUE(fs::is_empty(repository() / "blobs"));
    EXPECT_EQ(read_file(repository() / "refs/main"), kCommit);
  }
};

TEST_F(FileSystemTest, DownloadsWithoutLocks) {
  calls_.flock = no_flock;
  for (const fs::path& folder : {fs::path(), cache_ / "local"}) {
    notes_.clear();
    download({.repository = "owner/name", .local_folder = folder});
    EXPECT_EQ(std::ranges::count_if(notes_,
                                    [](const std::string& note) {
                                      return note.find("cannot lock") != note.npos &&
                                             note.find("without a lock") != note.npos;
                                    }),
              1);
  }
  expect_all_here();
}

TEST_F(FileSystemTest, NoticesTwoWritersWithoutLocks) {
  fs::create_directories(repository() / "blobs");
  PartialFile first(partial("model.safetensors")), second(partial("model.safetensors"));
  const std::string text = some_bytes(100);
  const auto bytes = std::as_bytes(std::span(text));
  first.append(bytes);
  expect_error([&] { second.append(bytes); }, ErrorKind::io,
               {".incomplete: expected 0 bytes, got 100", "another process"});
  expect_error([&] { second.publish(blob("model.safetensors")); }, ErrorKind::io,
               {"another process"});
  first.append(bytes);
  first.publish(blob("model.safetensors"));
}

TEST_F(FileSystemTest, DownloadsWhenFreeSpaceIsUnknown) {
  calls_.space = [](const fs::path&, std::error_code&) { return fs::space_info{}; };
  download();
  expect_all_here();
}

TEST_F(FileSystemTest, DownloadsWithoutLinks) {
  calls_.symlink = no_symlink;
  bool said_before = false;
  hub_.on_store = [&](const Connection&, const SeenRequest&) {
    said_before = noted("no symbolic links");
    return false;
  };
  download();
  EXPECT_TRUE(said_before) << "the note comes before the first fetch";
  expect_all_plain();
  EXPECT_EQ(hub_.fetches().size(), 1U) << "two names share one content";
  const std::size_t n_requests = hub_.server.requests().size();
  EXPECT_EQ(download(), snapshot());
  EXPECT_EQ(hub_.server.requests().size(), n_requests + 1) << "only the request for the list";
}

TEST_F(FileSystemTest, FetchesMissingFilesWithoutLinks) {
  calls_.symlink = no_symlink;
  download();
  fs::remove(snapshot() / "folder/config.json");
  fs::resize_file(snapshot() / "config.json", 1);
  download();
  expect_all_plain();
  // If a run is killed, the snapshot may have only some of the files.
  fs::rename(snapshot() / "model.safetensors", blob("model.safetensors"));
  fs::remove(snapshot() / "same.safetensors");
  download();
  expect_all_plain();
  EXPECT_EQ(hub_.fetches().size(), 1U);
}

TEST_F(FileSystemTest, AcceptsFilesInPlaceOfLinks) {
  // Such a cache comes from `cp -L`, or from a file system without links.
  calls_.symlink = no_symlink;
  download();
  calls_ = {};
  const std::size_t n_requests = hub_.server.requests().size();
  download();
  EXPECT_EQ(hub_.server.requests().size(), n_requests + 1);
  expect_all_plain();
  // If links work again, a download makes a link for each missing file.
  fs::remove(snapshot() / "same.safetensors");
  fs::remove(snapshot() / "config.json");
  download();
  EXPECT_TRUE(fs::is_symlink(snapshot() / "same.safetensors"));
  for (const Json& file : hub_.listing["siblings"])
    EXPECT_EQ(read_file(snapshot() / file["rfilename"].get<std::string>()),
              hub_.contents(file["rfilename"]));
}

TEST_F(FileSystemTest, KeepsBlobsThatOtherSnapshotsLinkTo) {
  download();
  const std::string first = hub_.listing["sha"];
  const std::string second(40, '1');
  hub_.listing["sha"] = second;
  calls_.symlink = no_symlink;
  download();
  const fs::path plain = repository() / "snapshots" / second / "model.safetensors";
  EXPECT_TRUE(fs::is_regular_file(fs::symlink_status(plain)));
  for (const fs::path& path : {plain, snapshot() / "model.safetensors"})
    EXPECT_EQ(read_file(path), hub_.contents("model.safetensors"));
}

TEST_F(FileSystemTest, AVariableDisablesLinks) {
  surroundings_.environment["HF_HUB_DISABLE_SYMLINKS"] = "1";
  const Finished finished = run_download();
  EXPECT_EQ(finished.status, 0) << finished.describe();
  expect_all_plain();
}

TEST_F(FileSystemTest, FindsTheModelInACacheWithoutLinks) {
  hub_.listing["siblings"].clear();
  hub_.add_folder(bundled_model_dir());
  calls_.symlink = no_symlink;
  download();
  expect_all_plain();
  EXPECT_EQ(run_json({"inspect", "--json", "-m", "owner/name"}, "", surroundings_)["parameters"],
            2200320);
}

/// As long as an object of this class lives, this process runs as a user without root's rights.
class PlainUser {
 public:
  PlainUser() {
    if (user_ == 0 && ::seteuid(kNobody) != 0) throw std::runtime_error("cannot change the user");
  }
  PlainUser(const PlainUser&) = delete;
  PlainUser& operator=(const PlainUser&) = delete;
  ~PlainUser() {
    if (user_ == 0 && ::seteuid(0) != 0) std::abort();
  }
  /// Makes this user the owner of everything in `folder`.
  static void give(const fs::path& folder) {
    if (::geteuid() != 0) return;
    EXPECT_EQ(::chown(folder.c_str(), kNobody, static_cast<gid_t>(-1)), 0);
    for (const auto& entry : fs::recursive_directory_iterator(folder))
      EXPECT_EQ(::lchown(entry.path().c_str(), kNobody, static_cast<gid_t>(-1)), 0);
  }

 private:
  static constexpr uid_t kNobody = 65534;
  const uid_t user_ = ::geteuid();
};

/// A cache whose folders this user may write. Only their owner may write the files in it.
class SharedCacheTest : public FileSystemTest {
 protected:
  SharedCacheTest() {
    download({.repository = "owner/name", .include = {"*.json"}});
    write_file(locks() / (hub_.id("model.safetensors") + ".lock"), "");
    leave_partial("model.safetensors", some_bytes(100'000));
    PlainUser::give(cache_.path());
    for (const auto& entry : fs::recursive_directory_iterator(cache_.path()))
      if (entry.is_regular_file() && !entry.is_symlink())
        fs::permissions(entry.path(), fs::perms::owner_read);
    notes_.clear();
  }
  ~SharedCacheTest() override {
    for (const auto& entry : fs::recursive_directory_iterator(cache_.path()))
      if (!entry.is_symlink())
        fs::permissions(entry.path(), fs::perms::owner_all, fs::perm_options::add);
  }
  fs::path locks() const { return cache_ / "hub/.locks/models--owner--name"; }
};

TEST_F(SharedCacheTest, AnotherUserCanAddFiles) {
  {
    const PlainUser user;
    download();
  }
  EXPECT_FALSE(noted("lock")) << "read access is enough for a lock";
  EXPECT_EQ(hub_.fetches().back().first_byte(), 100'000U);
  expect_all_here();
}

TEST_F(SharedCacheTest, ContinuesWithUnreadableLocks) {
  for (const auto& entry : fs::directory_iterator(locks()))
    fs::permissions(entry.path(), fs::perms::none);
  fs::permissions(partial("model.safetensors"), fs::perms::none);
  {
    const PlainUser user;
    download();
  }
  EXPECT_TRUE(noted(".lock: cannot open: Permission denied; going on without a lock"));
  EXPECT_EQ(hub_.fetches().back().first_byte(), 0U);
  expect_all_here();
}

TEST_F(SharedCacheTest, FetchesUnreadableFilesAgain) {
  fs::permissions(blob("config.json"), fs::perms::none);
  {
    const PlainUser user;
    download();
    EXPECT_EQ(read_file(snapshot() / "config.json"), "[]");
  }
  expect_all_here();
}

TEST_F(SharedCacheTest, ContinuesWithoutAFolderForLocks) {
  fs::remove_all(locks());
  fs::permissions(locks().parent_path(), fs::perms::owner_read | fs::perms::owner_exec);
  {
    const PlainUser user;
    download();
  }
  EXPECT_TRUE(noted("going on without a lock"));
  expect_all_here();
}

TEST_F(SharedCacheTest, ChecksFoldersBeforeAnyFetch) {
  const std::size_t n_fetches = hub_.fetches().size();
  for (const fs::path& folder : {repository(), repository() / "blobs", snapshot()}) {
    fs::permissions(folder, fs::perms::owner_read | fs::perms::owner_exec);
    {
      const PlainUser user;
      expect_error([&] { download(); }, ErrorKind::io,
                   {folder.string(), "cannot write into the folder: Permission denied"});
    }
    fs::permissions(folder, fs::perms::owner_all);
  }
  fs::permissions(cache_.path(), fs::perms::owner_read | fs::perms::owner_exec);
  {
    const PlainUser user;
    ::setenv("HF_HOME", (cache_ / "other").c_str(), 1);
    expect_error(
        [&] { download(); }, ErrorKind::io,
        {"other/hub/models--owner--name/blobs: cannot make the folder: Permission denied"});
  }
  fs::permissions(cache_.path(), fs::perms::owner_all);
  fs::create_directories(cache_ / "local/folder");
  PlainUser::give(cache_ / "local");
  fs::permissions(cache_ / "local/folder", fs::perms::owner_read | fs::perms::owner_exec);
  {
    const PlainUser user;
    expect_error([&] { download({.repository = "owner/name", .local_folder = cache_ / "local"}); },
                 ErrorKind::io, {"local/folder: cannot write into the folder"});
  }
  EXPECT_EQ(hub_.fetches().size(), n_fetches);
}

TEST_F(SharedCacheTest, WritesNothingWhenNothingIsMissing) {
  for (const auto& entry : fs::recursive_directory_iterator(cache_.path()))
    if (entry.is_directory())
      fs::permissions(entry.path(), fs::perms::owner_read | fs::perms::owner_exec);
  const PlainUser user;
  EXPECT_EQ(download({.repository = "owner/name", .include = {"*.json"}}), snapshot());
}

}  // namespace
}  // namespace bitaxon::test
