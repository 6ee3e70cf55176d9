// Tests of downloads that succeed.
#include <gtest/gtest.h>

#include "fake_hub.h"
#include "platform/printable.h"
#include "support/source_tree.h"

namespace bitaxon::test {
namespace {

namespace fs = std::filesystem;

class DownloadTest : public HubTest {
 protected:
  void add_some_files() {
    hub_.add("model.safetensors", some_bytes(300'000), true);
    hub_.add("config.json", "{}", false);
    hub_.add("folder/a b#c.txt", "text", false);
    hub_.add("folder/empty", "", false);
  }
};

TEST_F(DownloadTest, TheDownloadedModelIsFound) {
  hub_.add_folder(bundled_model_dir());
  const Finished before = run({"inspect", "owner/name"}, "", surroundings_);
  EXPECT_EQ(before.status, 1);
  EXPECT_NE(before.err.find("`bit-axon download owner/name`"), std::string::npos) << before.err;

  const Finished finished = run_download();
  EXPECT_EQ(finished.status, 0) << finished.describe();
  EXPECT_EQ(finished.out, snapshot().string() + "\n");
  ASSERT_EQ(finished.err_lines().size(), 1U) << finished.err;
  EXPECT_EQ(finished.err.find('\r'), std::string::npos) << "progress is shown only on terminals";
  expect_all_here();
  EXPECT_EQ(run_json({"inspect", "--json", "-m", "owner/name"}, "", surroundings_)["parameters"],
            2200320);
  EXPECT_EQ(run_download({"--quiet"}).err, "");
}

TEST_F(DownloadTest, ExistingFilesAreNotFetchedAgain) {
  add_some_files();
  hub_.add("same.safetensors", some_bytes(300'000), true);
  EXPECT_EQ(download(), snapshot());
  expect_all_here();
  const std::size_t n_requests = hub_.server.requests().size();
  EXPECT_EQ(hub_.fetches().size(), 1U) << "two names share one content";
  EXPECT_EQ(download(), snapshot());
  EXPECT_EQ(hub_.server.requests().size(), n_requests + 1) << "only the request for the list";
  // An incomplete blob is fetched again. A file system check may cut a blob short.
  fs::resize_file(blob("model.safetensors"), 1000);
  download();
  EXPECT_EQ(hub_.fetches().size(), 2U);
  expect_all_here();
}

TEST_F(DownloadTest, IncludeAndExcludeChooseFiles) {
  add_some_files();
  download({.repository = "owner/name", .include = {"*.txt", "*.json"}, .exclude = {"config*"}});
  EXPECT_TRUE(fs::exists(snapshot() / "folder/a b#c.txt"));
  EXPECT_FALSE(fs::exists(snapshot() / "config.json"));
  EXPECT_FALSE(fs::exists(snapshot() / "folder/empty"));
  download({.repository = "owner/name", .include = {"folder/"}});
  EXPECT_TRUE(fs::exists(snapshot() / "folder/empty"));
  EXPECT_TRUE(hub_.fetches().empty());
  expect_refusal({"--include", "*.bin", "*.gguf"}, 1, {"owner/name at main", "--include"});
  expect_refusal({"--exclude", "*"}, 1, {"--exclude"});
}

TEST_F(DownloadTest, WeightsInOtherFormatsAreLeftOut) {
  add_some_files();
  const std::vector<std::string> others = {"pytorch_model.bin", "pytorch_model-00001-of-00002.bin",
                                           "model.q4.gguf", "onnx/model.onnx",
                                           "original/consolidated.00.pth"};
  for (const std::string& name : others) hub_.add(name, name, false);
  hub_.add("tokenizer.model", "model", false);
  download();
  for (const std::string& name : others) EXPECT_FALSE(fs::exists(snapshot() / name)) << name;
  EXPECT_TRUE(fs::exists(snapshot() / "model.safetensors"));
  EXPECT_TRUE(fs::exists(snapshot() / "tokenizer.model"));
  download({.repository = "owner/name", .include = {"*"}});
  expect_all_here();
}

TEST_F(DownloadTest, OtherWeightsAreFetchedIfThereIsNothingElse) {
  hub_.add("config.json", "{}", false);
  hub_.add("model.gguf", "weights", false);
  download();
  EXPECT_TRUE(fs::exists(snapshot() / "model.gguf"));
}

TEST_F(DownloadTest, RevisionsAreRemembered) {
  add_some_files();
  std::string asked;
  hub_.on_api = [&](const Connection&, const SeenRequest& request) {
    asked = request.target;
    return false;
  };
  download({.repository = "owner/name", .revision = "refs/pr/1"});
  EXPECT_EQ(asked, "/api/models/owner/name/revision/refs%2Fpr%2F1?blobs=true");
  EXPECT_EQ(read_file(repository() / "refs/refs/pr/1"), kCommit);
  EXPECT_FALSE(fs::exists(repository() / "refs/main"));
  download({.repository = "owner/name", .revision = kCommit});
  EXPECT_FALSE(fs::exists(repository() / "refs" / kCommit)) << "a commit needs no ref";
}

TEST_F(DownloadTest, DownloadsIntoAFolder) {
  add_some_files();
  const fs::path folder = cache_ / "the folder";
  const hub::DownloadRequest request{.repository = "owner/name", .local_folder = folder};
  EXPECT_EQ(download(request), folder);
  const auto expect_files = [&] {
    for (const Json& file : hub_.listing["siblings"]) {
      const std::string name = file["rfilename"];
      EXPECT_TRUE(fs::is_regular_file(fs::symlink_status(folder / name))) << name;
      EXPECT_EQ(read_file(folder / name), hub_.contents(name));
    }
  };
  expect_files();
  EXPECT_FALSE(fs::exists(cache_ / "hub"));
  const std::size_t n_requests = hub_.server.requests().size();
  download(request);
  EXPECT_EQ(hub_.server.requests().size(), n_requests + 1);
  // A file of the right size with other contents is fetched again.
  write_file(folder / "config.json", "[]");
  download(request);
  EXPECT_EQ(hub_.server.requests().size(), n_requests + 3);
  expect_files();
}

TEST_F(DownloadTest, ContinuesAPartialFile) {
  add_some_files();
  leave_partial("model.safetensors", some_bytes(100'000));
  download();
  ASSERT_EQ(hub_.fetches().size(), 1U);
  EXPECT_EQ(hub_.fetches()[0].field("range"), "bytes=100000-");
  expect_all_here();
  EXPECT_NE(notes_[0].find("; " + bytes_text(200'006) + " to fetch"), std::string::npos)
      << notes_[0];
}

TEST_F(DownloadTest, ACompletePartialFileIsOnlyChecked) {
  add_some_files();
  leave_partial("model.safetensors", hub_.contents("model.safetensors"));
  download();
  EXPECT_TRUE(hub_.fetches().empty());
  expect_all_here();
}

TEST_F(DownloadTest, AWrongPartialFileIsFetchedAgain) {
  add_some_files();
  for (const std::size_t size : {100'000U, 300'000U, 300'001U}) {
    fs::remove(blob("model.safetensors"));
    leave_partial("model.safetensors", std::string(size, 'x'));
    download();
    expect_all_here();
    EXPECT_EQ(hub_.fetches().back().field("range"), "");
  }
}

TEST_F(DownloadTest, TheTokenGoesOnlyToTheHub) {
  add_some_files();
  surroundings_.environment["HF_TOKEN"] = " hf_secret\n";
  const Finished finished = run_download();
  EXPECT_EQ(finished.status, 0) << finished.describe();
  EXPECT_EQ(finished.err.find("secret"), std::string::npos);
  for (const SeenRequest& request : hub_.server.requests())
    EXPECT_EQ(request.field("authorization"), "Bearer hf_secret") << request.target;
  ASSERT_FALSE(hub_.fetches().empty());
  for (const SeenRequest& request : hub_.fetches())
    EXPECT_EQ(request.fields.count("authorization"), 0U) << request.target;
}

TEST_F(DownloadTest, TheTokenIsNotSentAfterARedirectBack) {
  add_some_files();
  ::setenv("HF_TOKEN", "hf_secret", 1);
  hub_.on_store = [&](const Connection& connection, const SeenRequest&) {
    connection.answer(307, "", "Location: " + hub_.server.url() + "/back\r\n");
    return true;
  };
  hub_.on_file = [&](const Connection& connection, const SeenRequest& request) {
    if (request.target != "/back") return false;
    EXPECT_EQ(request.field("authorization"), "");
    connection.answer(200, hub_.contents("model.safetensors"));
    return true;
  };
  download();
  expect_all_here();
}

TEST_F(DownloadTest, ReadsTheTokenFile) {
  add_some_files();
  write_file(cache_ / "token", "hf_file\n");
  EXPECT_EQ(run_download().status, 0);
  EXPECT_EQ(hub_.server.requests()[0].field("authorization"), "Bearer hf_file");
  write_file(cache_ / "other", "hf_other");
  surroundings_.environment["HF_TOKEN_PATH"] = (cache_ / "other").string();
  EXPECT_EQ(run_download().status, 0);
  EXPECT_EQ(hub_.server.requests().back().field("authorization"), "Bearer hf_other");
  // A broken link must give an error. The program must not continue without a token.
  fs::create_symlink("gone", cache_ / "link");
  surroundings_.environment["HF_TOKEN_PATH"] = (cache_ / "link").string();
  const std::size_t n_requests = hub_.server.requests().size();
  const Finished refused = run_download();
  EXPECT_EQ(refused.status, 1);
  EXPECT_NE(refused.err.find("link: a symbolic link that leads nowhere: its target is gone"),
            std::string::npos)
      << refused.err;
  EXPECT_EQ(hub_.server.requests().size(), n_requests);
}

TEST_F(DownloadTest, AcceptsAnEndpointWithAPath) {
  add_some_files();
  hub_.on_file = [&](const Connection& connection, const SeenRequest& request) {
    const bool found = request.target == "/mirror/api/models/owner/name/revision/main?blobs=true";
    connection.answer(found ? 200 : 404, R"({"sha": "0", "siblings": []})");
    return true;
  };
  surroundings_.environment["HF_ENDPOINT"] = hub_.server.url() + "/mirror/";
  expect_refusal({}, 1, {"/mirror/api/models/owner/name/revision/main", "\"sha\""});
}

}  // namespace
}  // namespace bitaxon::test
