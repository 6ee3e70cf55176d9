// Tests of optional files: an absent file is allowed, but a broken link is an error.
#include "platform/optional_file.h"

#include <gtest/gtest.h>

#include "platform/file.h"
#include "support/errors.h"
#include "support/temporary_folder.h"

namespace bitaxon {
namespace {

using test::expect_error;
using test::TemporaryFolder;

namespace fs = std::filesystem;

TEST(OptionalFile, FindsFilesFoldersAndLinksToThem) {
  const TemporaryFolder folder;
  folder.write("file", "");
  fs::create_directory(folder / "sub");
  fs::create_symlink("file", folder / "link");
  fs::create_symlink("link", folder / "link to a link");
  fs::create_directory_symlink("sub", folder / "folder link");
  for (const char* name : {"file", "sub", "link", "link to a link", "folder link"})
    EXPECT_TRUE(optional_file_exists(folder / name)) << name;
}

TEST(OptionalFile, AbsenceIsNotAnError) {
  const TemporaryFolder folder;
  folder.write("file", "");
  for (const char* name : {"none", "none/below", "file/below"})
    EXPECT_FALSE(optional_file_exists(folder / name)) << name;
  EXPECT_FALSE(optional_file_exists("no such file anywhere"));
  EXPECT_FALSE(optional_file_exists(""));
}

TEST(OptionalFile, NamesABrokenLinkAndItsTarget) {
  const TemporaryFolder folder;
  fs::create_symlink("../blobs/gone", folder / "link");
  fs::create_symlink("link", folder / "link to the link");
  fs::create_directory_symlink("/no/such/folder", folder / "sub");
  fs::create_symlink("circle", folder / "circle");
  struct Case {
    const char *looked_for, *link, *target;
  };
  for (const Case& one : {Case{"link", "link", "../blobs/gone"},
                          {"link to the link", "link to the link", "link"},
                          {"sub/deep/file", "sub", "/no/such/folder"},
                          {"circle", "circle", "circle"}}) {
    const std::string begin =
        (folder / one.link).string() + ": a symbolic link that leads nowhere: its target is ";
    expect_error([&] { optional_file_exists(folder / one.looked_for); }, ErrorKind::io, begin,
                 begin + one.target);
    // Opening a required file through the same link gives the same message.
    expect_error([&] { File::open(folder / one.looked_for); }, ErrorKind::io, begin,
                 begin + one.target);
  }
}

TEST(OptionalFile, AnInvalidNameIsAnError) {
  const TemporaryFolder folder;
  const fs::path name = folder / std::string(300, 'x');
  expect_error([&] { optional_file_exists(name); }, ErrorKind::io, name.string(), "too long");
}

}  // namespace
}  // namespace bitaxon
