// Tests of the list of files that a hub sends: which names, sizes and hashes are accepted.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "fake_hub.h"
#include "hub/content_id.h"
#include "hub/hub_listing.h"
#include "hub_cache/hub_names.h"
#include "platform/file.h"
#include "support/errors.h"
#include "support/temporary_folder.h"

namespace bitaxon::test {
namespace {

Json listing_of(const std::string& name) {
  return {{"sha", kCommit}, {"siblings", Json::array({listed(name, "contents", true)})}};
}

/// Parses a listing, and refuses files that cannot be fetched.
void parse_all(const Json& json) {
  hub::refuse_unfetchable(hub::parse_listing(json.dump(), "hub").files, "hub");
}

TEST(HubListing, ReadsTheFiles) {
  Json json = listing_of("folder/model.safetensors");
  json["siblings"].push_back(listed("config.json", "{}", false));
  const hub::HubListing listing = hub::parse_listing(json.dump(), "hub");
  EXPECT_EQ(listing.commit, kCommit);
  ASSERT_EQ(listing.files.size(), 2U);
  EXPECT_EQ(listing.files[0].name, "folder/model.safetensors");
  EXPECT_EQ(listing.files[0].size_bytes, 8U);
  EXPECT_EQ(listing.files[0].id,
            "d1b2a59fbea7e20077af9f91b27e95e865061b270be03ff539ab3b73587882e8");
  EXPECT_EQ(listing.files[1].id, "9e26dfeeb6e641a33dae4961196235bdb965b21b");
}

TEST(HubListing, RefusesUnsafeNames) {
  const std::string long_part(256, 'a');
  const std::string control = "a\x1b[2J";
  for (const std::string& name : {std::string(),
                                  std::string("/etc/passwd"),
                                  std::string(".."),
                                  std::string("../a"),
                                  std::string("a/../b"),
                                  std::string("a/.."),
                                  std::string("./a"),
                                  std::string("a/./b"),
                                  std::string("a//b"),
                                  std::string("a/"),
                                  std::string("a\\b"),
                                  std::string("..\\a"),
                                  std::string("a\0b", 3),
                                  std::string("a\nb"),
                                  control,
                                  std::string("a\x7f"),
                                  long_part,
                                  std::string("a\u0085b"),
                                  std::string("a\u009b2J"),
                                  std::string("a\u202etxt.exe"),
                                  std::string("a\u2066b\u2069")}) {
    SCOPED_TRACE(name);
    EXPECT_NE(hub::path_problem(name), "");
    expect_error([&] { parse_all(listing_of(name)); }, ErrorKind::format,
                 {"hub: ", "expected a name below the repository"});
  }
  for (const char* name : {"a", ".gitattributes", "a/b/c", "...", "a b", "ä", "a..b", "-rf", "~"})
    EXPECT_EQ(hub::path_problem(name), "") << name;
}

TEST(HubListing, RefusesConflictingNames) {
  Json twice = listing_of("a");
  twice["siblings"].push_back(listed("a", "other", false));
  expect_error([&] { parse_all(twice); }, ErrorKind::format, {"\"a\"", "twice"});
  for (const char* below : {"a/b", "a/b/c"}) {
    Json nested = listing_of("a");
    nested["siblings"].push_back(listed(below, "other", false));
    expect_error([&] { parse_all(nested); }, ErrorKind::format, {"expected a folder \"a\""});
  }
}

TEST(HubListing, RefusesInvalidListings) {
  const auto refused = [](const Json& json, std::initializer_list<std::string_view> fragments) {
    expect_error([&] { hub::parse_listing(json.dump(), "hub"); }, ErrorKind::format, fragments);
  };
  for (const char* text : {"", "[", "<html>", "{\"sha\": 1, \"sha\": 2}"})
    expect_error([&] { hub::parse_listing(text, "hub"); }, ErrorKind::format, {"hub: at byte"});
  refused(Json::array(), {"\"sha\""});
  for (const char* sha : {"", "main", "0123456789ABCDEF0123456789ABCDEF01234567", "../../../etc"}) {
    Json json = listing_of("a");
    json["sha"] = sha;
    refused(json, {"40 hexadecimal digits", sha});
  }
}

TEST(HubListing, IgnoresInvalidSizesAndIds) {
  const auto parse = [](const Json& json) {
    return hub::parse_listing(json.dump(), "hub").files.at(0);
  };
  for (const Json& size : {Json(-1), Json(1.5), Json("8"), Json(), Json(std::uint64_t{1} << 60)}) {
    Json json = listing_of("a");
    json["siblings"][0]["lfs"]["size"] = size;
    EXPECT_FALSE(parse(json).size_bytes) << size;
  }
  for (const char* id : {"", "../../../home", "d1b2a59f",
                         "D1B2A59FBEA7E20077AF9F91B27E95E865061B270BE03FF539AB3B73587882E8"}) {
    Json json = listing_of("a");
    json["siblings"][0]["lfs"]["sha256"] = id;
    EXPECT_EQ(parse(json).id, "");
    json["siblings"][0].erase("lfs");
    json["siblings"][0]["blobId"] = id;
    EXPECT_EQ(parse(json).id, "");
  }
  Json json = listing_of("a");
  for (const Json& siblings : {Json(), Json::object(), Json("a")}) {
    json["siblings"] = siblings;
    EXPECT_TRUE(hub::parse_listing(json.dump(), "hub").files.empty());
  }
  json["siblings"] = {"a"};
  EXPECT_EQ(parse(json).name, "");
  expect_error([&] { parse_all(json); }, ErrorKind::format, {"an empty name"});
}

TEST(HubListing, ChecksRepositoryNames) {
  for (const char* name : {"a/b", "skyoo2003/bit-axon", "A.b_c-d/1"})
    EXPECT_TRUE(hub::is_repository(name)) << name;
  for (const char* name : {"", "a", "a/", "/a", "a/b/c", "../b", "a/..", "a/.b", "a/b c", "a/b?c",
                           "a/b#", "a/b%2e", "a\\b/c", "a/b\n"})
    EXPECT_FALSE(hub::is_repository(name)) << name;
}

TEST(HubContentId, MatchesGitAndLfs) {
  const TemporaryFolder folder;
  write_file(folder / "hello", "hello\n");
  const File file = File::open(folder / "hello");
  EXPECT_EQ(hub::content_id(file, hub::ContentHash::git_blob, {}),
            "ce013625030ba8dba906f756967f9e9ca394464a");  // the output of `git hash-object`
  EXPECT_EQ(hub::content_id(file, hub::ContentHash::sha256, {}),
            "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03");
  write_file(folder / "none", "");
  EXPECT_EQ(hub::content_id(File::open(folder / "none"), hub::ContentHash::git_blob, {}),
            "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391");
}

}  // namespace
}  // namespace bitaxon::test
