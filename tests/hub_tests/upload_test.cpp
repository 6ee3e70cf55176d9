// Tests of uploads: what is sent, and what is sent again.
#include "hub/upload.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>

#include "fake_hub.h"
#include "hub/content_id.h"
#include "support/errors.h"
#include "support/small_models.h"
#include "upload_hub.h"

namespace bitaxon::test {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kPart = 64'000, kSize = 300'000;

class UploadTest : public HubTest {
 protected:
  UploadTest() {
    set_variable("HF_ENDPOINT", to_.server.url());
    set_variable("HF_TOKEN", kToken);
    write_file(cache_ / "model.safetensors", contents_);
    request_.repository = "owner/name";
    request_.message = "a message";
    request_.files = {{.name = "model.safetensors", .path = cache_ / "model.safetensors"},
                      {.name = "config.json", .text = "{}"}};
  }

  hub::UploadReport upload() {
    const hub::UploadWatch watch{
        .progress = [](std::uint64_t done, std::uint64_t total) { EXPECT_LE(done, total); },
        .note = [this](const std::string& line) { notes_.push_back(line); }};
    return hub::upload(request_, {.timeout_seconds = 1, .first_pause_ms = 1}, watch);
  }
  void expect_refusal_of_upload(ErrorKind kind, std::initializer_list<std::string_view> fragments) {
    expect_error(
        [&] {
          try {
            upload();
          } catch (const Error& error) {
            EXPECT_EQ(std::string(error.what()).find("secret"), std::string::npos) << error.what();
            throw;
          }
        },
        kind, fragments);
  }
  /// The hub answers this address with a status and a text, the first n times.
  void refuse(const std::string& fragment, int status, const std::string& text = "", int n = 1000) {
    to_.on_hub = [=, left = std::make_shared<std::atomic<int>>(n)](const Connection& connection,
                                                                   const SeenRequest& request) {
      if (request.target.find(fragment) == std::string::npos || (*left)-- <= 0) return false;
      connection.answer(status, text);
      return true;
    };
  }

  const std::string contents_ = some_bytes(kSize);
  UploadHub to_;
  hub::UploadRequest request_;
};

TEST_F(UploadTest, MakesTheRepositoryAndOneCommit) {
  request_.is_private = true;
  const hub::UploadReport report = upload();
  EXPECT_EQ(report.url, to_.server.url() + "/owner/name");
  EXPECT_EQ(report.commit, kCommit);
  EXPECT_TRUE(report.is_new);
  EXPECT_EQ(report.n_changed, 2U);
  EXPECT_EQ(report.sent_bytes, kSize);
  EXPECT_TRUE(to_.is_private);
  EXPECT_EQ(to_.file("model.safetensors"), contents_);
  EXPECT_EQ(to_.file("config.json"), "{}");
  EXPECT_EQ(to_.messages(), std::vector<std::string>{"a message"});
  EXPECT_EQ(to_.asked("/verify").size(), 1U);
}

TEST_F(UploadTest, LargeFilesGoInParts) {
  to_.part_bytes = kPart;
  upload();
  EXPECT_EQ(to_.file("model.safetensors"), contents_);
  EXPECT_EQ(to_.storage.requests().size(), 6U);  // five parts, and one request that joins them
  EXPECT_EQ(to_.stored_bytes(), kSize);
}

TEST_F(UploadTest, ABrokenConnectionCostsOnePart) {
  to_.part_bytes = kPart;
  to_.storage.breaks_after = [n = std::make_shared<std::atomic<int>>(0)](
                                 const SeenRequest&) -> std::optional<std::size_t> {
    return ++*n == 3 ? std::optional<std::size_t>(10'000) : std::nullopt;
  };
  upload();
  EXPECT_EQ(to_.file("model.safetensors"), contents_);
  EXPECT_TRUE(noted("trying again"));
  EXPECT_EQ(to_.storage.requests().size(), 7U);
  EXPECT_LT(to_.stored_bytes(), kSize + kPart);
}

TEST_F(UploadTest, ARepeatedUploadSendsWhatHasChanged) {
  upload();
  const hub::UploadReport same = upload();
  EXPECT_EQ(same.commit, "");
  EXPECT_FALSE(same.is_new);
  EXPECT_EQ(same.n_changed, 0U);
  EXPECT_EQ(to_.stored_bytes(), kSize);
  request_.files[1].text = "{\"a\": 1}";
  EXPECT_EQ(upload().n_changed, 1U);
  EXPECT_EQ(to_.file("config.json"), "{\"a\": 1}");
  EXPECT_EQ(to_.stored_bytes(), kSize);
  EXPECT_EQ(to_.messages().size(), 2U);
}

TEST_F(UploadTest, ContentsThatArrivedBeforeAFailureAreNotSentAgain) {
  refuse("/commit/", 403);
  expect_refusal_of_upload(ErrorKind::io, {"status 403"});
  EXPECT_TRUE(to_.has_object(contents_));
  to_.on_hub = {};
  const hub::UploadReport report = upload();
  EXPECT_EQ(report.sent_bytes, 0U);
  EXPECT_EQ(to_.stored_bytes(), kSize);
  EXPECT_EQ(to_.file("model.safetensors"), contents_);
}

TEST_F(UploadTest, ALostAnswerDoesNotMakeASecondCommit) {
  to_.loses_an_answer = true;
  EXPECT_EQ(upload().commit, kCommit);
  EXPECT_EQ(to_.messages().size(), 1U);
  EXPECT_EQ(to_.asked("/commit/").size(), 1U);
}

TEST_F(UploadTest, ServersThatFailForAWhileAreAskedAgain) {
  for (const char* fragment : {"/create", "/preupload/", "/batch", "/verify", "/commit/"}) {
    SCOPED_TRACE(fragment);
    refuse(fragment, 503, "", 2);
    request_.files[1].text += "x";
    request_.files[0].path = cache_ / "model.safetensors";
    write_file(cache_ / "model.safetensors", contents_ + fragment);
    upload();
    EXPECT_EQ(to_.file("model.safetensors"), contents_ + fragment);
  }
}

TEST_F(UploadTest, ExpiredAddressesAreAskedForAgain) {
  to_.part_bytes = kPart;
  to_.on_store = [n = 0](const Connection& connection, const SeenRequest&) mutable {
    if (++n != 3) return false;
    connection.answer(403, "<Error><Message>Request has expired</Message></Error>");
    return true;
  };
  upload();
  EXPECT_TRUE(noted("expired"));
  EXPECT_EQ(to_.file("model.safetensors"), contents_);
  to_.on_store = [](const Connection& connection, const SeenRequest&) {
    connection.answer(403, "");
    return true;
  };
  write_file(cache_ / "model.safetensors", contents_ + "x");
  expect_refusal_of_upload(ErrorKind::io, {"model.safetensors", "tried 5 times"});
}

TEST_F(UploadTest, SaysWhyTheHubRefuses) {
  refuse("/create", 401);
  expect_refusal_of_upload(ErrorKind::io, {"owner/name", "401", "not valid"});
  refuse("/create", 400, R"({"error": "Name is reserved"})");
  expect_refusal_of_upload(ErrorKind::io, {"400", "Name is reserved"});
  to_.exists = true;
  refuse("/preupload/", 403, R"({"error": "Private repository storage limit reached"})");
  expect_refusal_of_upload(ErrorKind::io, {"403", "storage limit reached"});
  refuse("/preupload/", 404);
  expect_refusal_of_upload(ErrorKind::io, {"404", "no such repository"});
  refuse("/commit/", 409);
  expect_refusal_of_upload(ErrorKind::io, {"409", "changed in the meantime"});
  refuse("/batch", 413, R"({"message": "too big"})");
  write_file(cache_ / "model.safetensors", contents_ + "x");
  expect_refusal_of_upload(ErrorKind::io, {"model.safetensors", "413", "too big"});
  refuse("/preupload/", 500);
  expect_refusal_of_upload(ErrorKind::io, {"500", "tried 5 times"});
}

TEST_F(UploadTest, ATokenForOneRepositoryMayNotMakeOthers) {
  to_.exists = true;
  refuse("/create", 403, R"({"error": "no rights to create"})");
  upload();
  EXPECT_EQ(to_.file("config.json"), "{}");
  to_.exists = false;
  expect_refusal_of_upload(ErrorKind::io, {"403", "no rights to create"});
}

TEST_F(UploadTest, TheTokenGoesOnlyToTheHubAndIntoNoMessage) {
  to_.part_bytes = kPart;
  upload();
  for (const SeenRequest& request : to_.storage.requests())
    EXPECT_EQ(request.field("authorization"), "") << request.target;
  for (const SeenRequest& request : to_.server.requests())
    EXPECT_EQ(request.field("authorization"), std::string("Bearer ") + kToken);
  refuse("/preupload/", 401, fmt::format(R"({{"error": "bad token {}"}})", kToken));
  expect_refusal_of_upload(ErrorKind::io, {"bad token ..."});
}

TEST_F(UploadTest, RefusesAnswersThatMakeNoSense) {
  const std::pair<const char*, const char*> cases[] = {
      {"/preupload/", "[]"},
      {"/preupload/", "{"},
      {"/preupload/", R"({"files": [{"path": "config.json", "uploadMode": "magic"}]})"},
      {"/batch", "{}"},
      {"/batch", R"({"objects": [{"oid": "1"}]})"}};
  for (const auto& [fragment, text] : cases) {
    SCOPED_TRACE(text);
    refuse(fragment, 200, text);
    expect_refusal_of_upload(ErrorKind::format, {"expected"});
  }
  const std::string id = hub::content_id(contents_, hub::ContentHash::sha256);
  for (const char* object :
       {R"("error": {"code": 422, "message": "quota"})", R"("actions": {"upload": {}})",
        R"("actions": {"upload": {"href": "http://127.0.0.1:1/x",
                                "header": {"chunk_size": 1000, "1": "http://127.0.0.1:1/p"}}})"}) {
    SCOPED_TRACE(object);
    refuse("/batch", 200, fmt::format(R"({{"objects": [{{"oid": "{}", {}}}]}})", id, object));
    expect_error(
        [&] { upload(); },
        std::string(object).find("quota") == std::string::npos ? ErrorKind::format : ErrorKind::io,
        {"model.safetensors"});
  }
}

TEST_F(UploadTest, RefusesBadRequests) {
  const hub::UploadRequest good = request_;
  const auto expect_bad = [&](std::string_view fragment) {
    expect_refusal_of_upload(ErrorKind::invalid_argument, {fragment});
    request_ = good;
  };
  request_.repository = "name";
  expect_bad("owner/name");
  request_.message = "two\nlines";
  expect_bad("--commit-message");
  request_.files[1].name = "../config.json";
  expect_bad("config.json");
  request_.files[1].name = "model.safetensors";
  expect_bad("two");
  request_.files[0].path = cache_ / "nosuch";
  expect_refusal_of_upload(ErrorKind::io, {"nosuch"});
  ::unsetenv("HF_TOKEN");
  request_ = good;
  expect_refusal_of_upload(ErrorKind::io, {"HF_TOKEN", "found none"});
  EXPECT_TRUE(to_.server.requests().empty());
}

/// A test that runs the program on a small model.
class UploadCli : public UploadTest {
 protected:
  UploadCli() {
    fs::create_directories(model_);
    BitAxonConfig config = BitAxonConfig::small();
    config.hidden_dim = config.d_source_model = config.moe_intermediate_dim = 32;
    config.vocab_size = 64;
    write_model(model_, random_stored(config, 1));
    write_file(model_ / "tokenizer.json", "{}");
  }
  Finished run_upload(const Arguments& more = {}) const {
    return run(Arguments{"upload", model_.string(), "-r", "owner/name"} + more, "", surroundings_);
  }
  void expect_bad(const Arguments& more, int status, std::string_view fragment) const {
    const Finished finished = run_upload(Arguments{"--quiet"} + more);
    EXPECT_EQ(finished.status, status) << finished.describe();
    EXPECT_EQ(finished.err_lines().size(), 1U) << finished.err;
    EXPECT_NE(finished.err.find(fragment), std::string::npos) << finished.err;
  }

  const fs::path model_ = cache_ / "my-model";
};

TEST_F(UploadCli, SendsTheModelItsTokenizerAndACard) {
  const Finished finished = run_upload({"--private", "-m", "first", "--benchmark-results",
                                        "mmlu=0.45,gsm8k=0.32", "--base-model", "Qwen/Qwen2.5-3B"});
  EXPECT_EQ(finished.status, 0) << finished.describe();
  EXPECT_EQ(finished.out, to_.server.url() + "/owner/name\n");
  EXPECT_EQ(to_.file_names(), (std::vector<std::string>{"README.md", "config.json",
                                                        "model.safetensors", "tokenizer.json"}));
  EXPECT_EQ(to_.file("model.safetensors"), read_file(model_ / "model.safetensors"));
  const std::string card = to_.file("README.md");
  for (const char* words : {"base_model: Qwen/Qwen2.5-3B", "| mmlu | 0.45 |", "| gsm8k | 0.32 |",
                            "| f32 |", "bit-axon run -m owner/name", "| experts |"})
    EXPECT_NE(card.find(words), std::string::npos) << card;
  EXPECT_EQ(to_.messages(), std::vector<std::string>{"first"});
  EXPECT_EQ((finished.out + finished.err).find("secret"), std::string::npos);
}

TEST_F(UploadCli, PrintsJson) {
  const Json report =
      run_json({"upload", model_.string(), "-r", "owner/name", "--json"}, "", surroundings_);
  EXPECT_EQ(report["commit"], kCommit);
  const Json again =
      run_json({"upload", model_.string(), "-r", "owner/name", "--json"}, "", surroundings_);
  EXPECT_TRUE(again["commit"].is_null());
  EXPECT_EQ(again["n_changed_files"], 0);
}

TEST_F(UploadCli, AModelsOwnReadmeIsItsCard) {
  write_file(model_ / "README.md", "mine");
  EXPECT_EQ(run_upload().status, 0);
  EXPECT_EQ(to_.file("README.md"), "mine");
  expect_bad({"--benchmark-results", "mmlu=1"}, 2, "README.md");
}

TEST_F(UploadCli, TakesTheTokenizerFromElsewhere) {
  fs::create_directories(cache_ / "tokenizer");
  write_file(cache_ / "tokenizer/tokenizer.json", "{\"a\": 1}");
  EXPECT_EQ(run_upload({"-t", (cache_ / "tokenizer").string()}).status, 0);
  EXPECT_EQ(to_.file("tokenizer.json"), "{\"a\": 1}");
  fs::remove(model_ / "tokenizer.json");
  expect_bad({}, 1, "--tokenizer");
  expect_bad({"-t", "Qwen/Qwen2.5-3B"}, 1, "bit-axon download Qwen/Qwen2.5-3B");
}

TEST_F(UploadCli, RefusesBadCommandLines) {
  expect_bad({"--benchmark-results", "mmlu"}, 2, "NAME=NUMBER");
  expect_bad({"--benchmark-results", "mmlu=high"}, 2, "mmlu");
  expect_bad({"--benchmark-results", "a|b=1"}, 2, "NAME=NUMBER");
  expect_bad({"--base-model", "x"}, 2, "--base-model");
  expect_bad({"-m", "two\nlines"}, 2, "--commit-message");
  expect_bad({"--timeout", "0"}, 2, "--timeout");
  EXPECT_EQ(run({"upload", model_.string(), "-r", "name"}, "", surroundings_).status, 2);
  EXPECT_EQ(run({"upload", model_.string()}, "", surroundings_).status, 2);
  EXPECT_EQ(run({"upload", "/nosuch", "-r", "owner/name"}, "", surroundings_).status, 1);
  set_variable("HF_HUB_OFFLINE", "1");
  expect_bad({}, 1, "upload: expected HF_HUB_OFFLINE");
  set_variable("HF_HUB_OFFLINE", "0");
  set_variable("HF_TOKEN", "hf secret");
  expect_bad({}, 2, "HF_TOKEN");
  set_variable("HF_TOKEN", "");
  expect_bad({}, 1, "found none");
}

TEST_F(UploadCli, ThePipelineUploadsItsFinalModel) {
  const std::string output = (cache_ / "pipeline").string();
  const Arguments pipeline = {"pipeline", "-o",           output, "--max-steps",
                              "1",        "--orpo-steps", "1",    "--no-thermal"};
  const Arguments upload = {"--repo-id", "owner/name"};
  set_variable("HF_TOKEN", "");
  const Finished refused = run(pipeline + upload, "", surroundings_);
  EXPECT_EQ(refused.status, 1) << refused.describe();
  EXPECT_FALSE(fs::exists(output)) << "the token is needed before the first stage";
  set_variable("HF_TOKEN", kToken);
  run_well(pipeline, "", surroundings_);
  EXPECT_TRUE(to_.file_names().empty());
  // A finished pipeline uploads when the flag is added.
  const Finished finished = run_well(pipeline + upload, "", surroundings_);
  EXPECT_NE(finished.err.find("stage 8 of 8: upload"), std::string::npos) << finished.err;
  EXPECT_EQ(to_.file("model.safetensors"), read_file(output + "/final/model.safetensors"));
  EXPECT_EQ((finished.out + finished.err + read_file(output + "/pipeline_log.txt")).find("secret"),
            std::string::npos);
}

TEST_F(UploadCli, CtrlCEndsAnUploadAndTheSameCommandFinishesIt) {
  to_.on_store = [](const Connection& connection, const SeenRequest&) {
    connection.stall();
    return true;
  };
  Program program({"upload", model_.string(), "-r", "owner/name"}, surroundings_);
  ASSERT_TRUE(program.wait_until([&] { return !to_.storage.requests().empty(); }));
  program.send_signal(SIGINT);
  const Finished finished = program.finish();
  EXPECT_EQ(finished.status, 130) << finished.describe();
  EXPECT_EQ(finished.err_lines().back(),
            "bit-axon: interrupted; the same command sends what is missing");
  EXPECT_TRUE(to_.messages().empty());
  to_.on_store = {};
  EXPECT_EQ(run_upload().status, 0);
  EXPECT_EQ(to_.file("model.safetensors"), read_file(model_ / "model.safetensors"));
}

}  // namespace
}  // namespace bitaxon::test
