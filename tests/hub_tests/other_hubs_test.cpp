// Tests with hubs whose list of files has another form than that of huggingface.co, or less
// information.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "fake_hub.h"
#include "hub/hub_listing.h"
#include "support/errors.h"

namespace bitaxon::test {
namespace {

namespace fs = std::filesystem;

class OtherHubsTest : public HubTest {
 protected:
  OtherHubsTest() {
    hub_.add("model.safetensors", some_bytes(300'000), true);
    hub_.add("folder/a b.json", "{}", false);
  }
  Json& siblings() { return hub_.listing["siblings"]; }
  /// All requests so far that have this method.
  std::vector<SeenRequest> requests(const std::string& method) const {
    std::vector<SeenRequest> found;
    for (const SeenRequest& request : hub_.server.requests())
      if (request.method == method) found.push_back(request);
    return found;
  }
  /// Answers requests for the file whose name ends with `end`. The answer has the header fields
  /// `fields`. An answer to GET also has the contents of the file.
  void answer_file(const std::string& end, const std::string& fields) {
    hub_.on_file = [=, this](const Connection& connection, const SeenRequest& request) {
      if (!request.target.ends_with(end)) return false;
      const std::string& contents = hub_.contents("folder/a b.json");
      connection.send_head(200, fields);
      if (request.method == "GET") connection.send(contents);
      return true;
    };
  }
};

TEST_F(OtherHubsTest, AcceptsAListOfNamesOnly) {
  for (Json& file : siblings()) file = {{"rfilename", file["rfilename"]}};
  download();
  expect_all_here();
  ASSERT_EQ(requests("HEAD").size(), 2U);
  EXPECT_EQ(requests("HEAD")[1].target,
            fmt::format("/owner/name/resolve/{}/folder/a%20b.json", kCommit));
  EXPECT_EQ(requests("HEAD")[1].field("accept-encoding"), "identity");
  EXPECT_EQ(hub_.fetches().size(), 1U) << "the redirect gives id and size";
}

TEST_F(OtherHubsTest, AcceptsAListWithoutIdsOrSizes) {
  for (const char* key : {"blobId", "size"}) {
    siblings()[1].erase(key);
    download();
    expect_all_here();
    fs::remove_all(repository());
  }
  EXPECT_EQ(requests("HEAD").size(), 2U);
  siblings()[0]["lfs"] = {{"size", 300'000}, {"sha256", nullptr}};
  download();
  expect_all_here();
}

TEST_F(OtherHubsTest, AsksOnlyForRequestedFiles) {
  for (Json& file : siblings()) file = {{"rfilename", file["rfilename"]}};
  download({.repository = "owner/name", .include = {"*.json"}});
  EXPECT_EQ(requests("HEAD").size(), 1U);
}

TEST_F(OtherHubsTest, ReadsAListInPages) {
  const Json files = siblings();
  hub_.listing.erase("siblings");
  hub_.on_file = [&](const Connection& connection, const SeenRequest& request) {
    const std::string tree = fmt::format("/api/models/owner/name/tree/{}", kCommit);
    if (!request.target.starts_with(tree)) return false;
    EXPECT_EQ(request.field("authorization"), "Bearer hf_secret");
    if (request.target == tree + "?recursive=true") {
      const Json page = {{{"type", "directory"}, {"path", "folder"}, {"oid", ""}, {"size", 0}},
                         {{"type", "file"},
                          {"path", files[1]["rfilename"]},
                          {"oid", files[1]["blobId"]},
                          {"size", files[1]["size"]}}};
      connection.answer(200, page.dump(),
                        fmt::format("Link: <{0}{1}?page=1>; rel=\"first\", <{0}{1}?page=2>; "
                                    "rel=\"next\"\r\n",
                                    hub_.server.url(), tree));
    } else {
      EXPECT_EQ(request.target, tree + "?page=2");
      const std::string sha256 = files[0]["lfs"]["sha256"];
      const Json lfs = {{"oid", "sha256:" + sha256}, {"size", 300'000}, {"pointerSize", 134}};
      const Json page = {{{"type", "file"},
                          {"path", "model.safetensors"},
                          {"oid", "sha256:" + sha256},
                          {"size", 300'000},
                          {"lfs", lfs}}};
      connection.answer(200, page.dump());
    }
    return true;
  };
  set_variable("HF_TOKEN", "hf_secret");
  download();
  EXPECT_TRUE(requests("HEAD").empty());
  hub_.listing["siblings"] = files;
  expect_all_here();
}

TEST_F(OtherHubsTest, TheTokenIsNotSentToPagesOnAnotherServer) {
  hub_.listing.erase("siblings");
  hub_.on_file = [&](const Connection& connection, const SeenRequest&) {
    connection.answer(200, "[]",
                      fmt::format("Link: <{}/tree>; rel=\"next\"\r\n", hub_.storage.url()));
    return true;
  };
  hub_.on_store = [&](const Connection& connection, const SeenRequest& request) {
    EXPECT_EQ(request.field("authorization"), "");
    connection.answer(200, "[]");
    return true;
  };
  set_variable("HF_TOKEN", "hf_secret");
  expect_error([&] { download(); }, ErrorKind::io, {"expected a file, got none of its 0"});
  EXPECT_EQ(hub_.fetches().size(), 1U);
}

TEST_F(OtherHubsTest, RefusesAHubWithoutAList) {
  hub_.listing.erase("siblings");
  hub_.on_file = [&](const Connection& connection, const SeenRequest&) {
    connection.answer(200, hub_.listing.dump());
    return true;
  };
  expect_refusal({}, 1, {"/api/models/owner/name/tree/", "expected a list of files, got none"});
}

TEST_F(OtherHubsTest, AcceptsTagsThatAreNotHashes) {
  siblings()[1] = {{"rfilename", "folder/a b.json"}};
  for (const auto& [tag, id] :
       {std::pair("\"0cc175b9c0f1b6a831c399e269772661\"", "0cc175b9c0f1b6a831c399e269772661"),
        {"W/\"5f-a/b+c=\"", "5f-a%2Fb%2Bc%3D"},
        {"plain", "plain"}}) {
    fs::remove_all(repository());
    answer_file("a%20b.json", fmt::format("Content-Length: 2\r\nETag: {}\r\n", tag));
    download();
    EXPECT_TRUE(fs::exists(repository() / "blobs" / id)) << id;
    EXPECT_EQ(read_file(snapshot() / "folder/a b.json"), "{}");
    EXPECT_TRUE(noted("folder/a b.json: the hub has no hash of it"));
  }
  // In a local folder, only a hash can show that a file is the same as on the hub. This file has no
  // hash, so the program fetches it again.
  const hub::DownloadRequest local{.repository = "owner/name", .local_folder = cache_ / "local"};
  download(local);
  write_file(cache_ / "local/folder/a b.json", "[]");
  download(local);
  EXPECT_EQ(read_file(cache_ / "local/folder/a b.json"), "{}");
}

TEST_F(OtherHubsTest, AcceptsTheSha1OfTheContentsAsATag) {
  siblings()[1] = {{"rfilename", "folder/a b.json"}};
  answer_file("a%20b.json",
              "Content-Length: 2\r\n"
              "ETag: \"bf21a9e8fbc5a3846fb05b4fa0859e0917b2202f\"\r\n");
  download();
  EXPECT_EQ(read_file(snapshot() / "folder/a b.json"), "{}");
  fs::remove_all(repository());
  answer_file("a%20b.json",
              "Content-Length: 2\r\n"
              "ETag: \"0000000000000000000000000000000000000000\"\r\n");
  expect_refusal({}, 1, {"folder/a b.json", "expected contents with git's SHA-1 0000"});
}

TEST_F(OtherHubsTest, RefusesAFileWithoutTagOrSize) {
  siblings()[1] = {{"rfilename", "folder/a b.json"}};
  answer_file("a%20b.json", "Content-Length: 2\r\n");
  expect_refusal({}, 1, {"folder/a b.json: expected an ETag"});
  answer_file("a%20b.json", "ETag: \"tag\"\r\n");
  expect_refusal({}, 1, {"folder/a b.json: expected its size"});
  answer_file("a%20b.json", "ETag: \"tag\"\r\nContent-Encoding: gzip\r\nContent-Length: 22\r\n");
  expect_refusal({}, 1, {"folder/a b.json: expected its size"});
  EXPECT_FALSE(fs::exists(repository() / "blobs"));
}

TEST_F(OtherHubsTest, IgnoresABodyInTheAnswerToHead) {
  for (Json& file : siblings()) file = {{"rfilename", file["rfilename"]}};
  hub_.on_file = [&](const Connection& connection, const SeenRequest& request) {
    if (request.method != "HEAD" || !request.target.ends_with("json")) return false;
    connection.send(fmt::format("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nETag: \"{}\"\r\n\r\n{{}}",
                                hub_.id("folder/a b.json")));
    connection.stall();
    return true;
  };
  download();
  expect_all_here();
}

TEST_F(OtherHubsTest, ReportsARefusedHead) {
  siblings()[1] = {{"rfilename", "folder/a b.json"}};
  hub_.on_file = [&](const Connection& connection, const SeenRequest&) {
    connection.send_head(404, "Content-Length: 0\r\n");
    return true;
  };
  expect_refusal({}, 1, {"folder/a b.json: " + hub_.server.url() + " answers with status 404"});
}

TEST_F(OtherHubsTest, AcceptsCommitsOf64Digits) {
  const std::string commit = kCommit + std::string(24, '0');
  hub_.listing["sha"] = commit;
  hub_.on_file = [&](const Connection& connection, const SeenRequest& request) {
    const bool is_json = request.target.ends_with(commit + "/folder/a%20b.json");
    connection.answer(200, is_json ? "{}" : hub_.contents("model.safetensors"));
    return true;
  };
  EXPECT_EQ(download(), repository() / "snapshots" / commit);
  EXPECT_EQ(download(), repository() / "snapshots" / commit);
}

TEST_F(OtherHubsTest, AnInvalidNameDoesNotBlockOtherFiles) {
  for (const char* name : {"sub\\x.txt", "\u200eabc.txt", "../evil", ""}) {
    siblings().push_back(listed(name, "x", false));
    siblings().push_back(Json::object());
    expect_refusal({}, 1, {"expected a name below the repository", "--exclude"});
    EXPECT_FALSE(fs::exists(repository()));
    download({.repository = "owner/name", .include = {"*.json"}});
    EXPECT_EQ(read_file(snapshot() / "folder/a b.json"), "{}");
    fs::remove_all(repository());
    siblings().erase(3);
    siblings().erase(2);
  }
}

TEST(HubTag, GivesTheSameIdAsTheHubsOwnTools) {
  EXPECT_EQ(hub::id_of_tag("\"abc\""), "abc");
  EXPECT_EQ(hub::id_of_tag("W/\"abc\""), "abc");
  EXPECT_EQ(hub::id_of_tag("abc"), "abc");
  EXPECT_EQ(hub::id_of_tag("\"sha256:abc\""), "abc");
  for (const std::string& none : {std::string(), std::string("\"\""), std::string(".."),
                                  std::string("\".hidden\""), std::string(300, 'a')})
    EXPECT_EQ(hub::id_of_tag(none), "") << none;
}

}  // namespace
}  // namespace bitaxon::test
