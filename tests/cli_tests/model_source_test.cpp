// Tests of how the program finds models and tokenizers, and of vocabulary mappings.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "model_folder.h"
#include "program.h"
#include "support/temporary_folder.h"
#include "support/tensors.h"

namespace bitaxon::test {
namespace {

namespace fs = std::filesystem;

/// A hub cache with one repository that has two snapshots. Its file refs/main names one of the
/// snapshots.
class HubCli : public testing::Test {
 protected:
  HubCli() {
    add("models--a--b", "bundled", bundled_model_dir());
    add("models--a--b", "other", golden_dir() / kSmallestModel);
    fs::create_directories(hub() / "models--a--b" / "refs");
    write_file(hub() / "models--a--b" / "refs" / "main", "bundled\n");
    surroundings_.environment["HF_HOME"] = cache_.path().string();
  }
  fs::path hub() const { return cache_ / "hub"; }
  void add(const std::string& repository, const std::string& revision, const fs::path& from) const {
    const fs::path folder = hub() / repository / "snapshots" / revision;
    fs::create_directories(folder);
    // The files of a snapshot are links, as in a cache that the hub's own tools fill.
    for (const auto& entry : fs::directory_iterator(from))
      fs::create_symlink(entry.path(), folder / entry.path().filename());
    fs::remove(folder / "io.safetensors");
  }
  std::int64_t parameters(const Arguments& model) const {
    return run_json(Arguments{"inspect", "--json"} + model, "", surroundings_)["parameters"];
  }

  TemporaryFolder cache_;
  Surroundings surroundings_;
};

TEST_F(HubCli, FindsTheRevisionInRefsMain) {
  EXPECT_EQ(parameters({"a/b"}), 2200320);
  write_file(hub() / "models--a--b" / "refs" / "main", "other");
  EXPECT_NE(parameters({"a/b"}), 2200320);
  const Finished finished =
      run_well({"run", "--device", "cpu", "-m", "a/b", "--prompt-ids", "1", "--max-tokens", "1"},
               "", surroundings_);
  EXPECT_EQ(finished.err_lines().size(), 1U) << finished.err;
}

TEST_F(HubCli, FindsTheCacheInOtherFolders) {
  Surroundings elsewhere;
  elsewhere.environment["HF_HUB_CACHE"] = hub().string();
  EXPECT_EQ(run_json({"inspect", "--json", "a/b"}, "", elsewhere)["parameters"], 2200320);
  // If no variable names another folder, the cache is ~/.cache/huggingface/hub.
  const TemporaryFolder user;
  fs::create_directories(user / ".cache/huggingface");
  fs::create_directory_symlink(hub(), user / ".cache/huggingface/hub");
  Surroundings plain;
  plain.environment["HOME"] = user.path().string();
  plain.environment["HF_HOME"] = "";
  EXPECT_EQ(run_json({"inspect", "--json", "a/b"}, "", plain)["parameters"], 2200320);
}

TEST_F(HubCli, UsesTheOnlySnapshotWithoutRefsMain) {
  fs::remove(hub() / "models--a--b" / "refs" / "main");
  const Finished which = run({"inspect", "a/b"}, "", surroundings_);
  EXPECT_EQ(which.status, 1);
  for (const char* fragment : {"found 2 of its snapshots", "refs/main", "`bit-axon download a/b`"})
    EXPECT_NE(which.err.find(fragment), std::string::npos) << which.err;
  fs::remove_all(hub() / "models--a--b" / "snapshots" / "other");
  EXPECT_EQ(parameters({"a/b"}), 2200320);
}

TEST_F(HubCli, NamesMissingRepositories) {
  for (const char* id : {"a/c", "../b", "a/../b", "a/b/c"}) {
    const Finished finished = run({"inspect", "--quiet", id}, "", surroundings_);
    EXPECT_EQ(finished.status, 1) << finished.describe();
    EXPECT_EQ(finished.err_lines().size(), 1U) << finished.err;
    EXPECT_NE(finished.err.find(id), std::string::npos) << finished.err;
  }
  // The revision in refs/main must not name a folder outside of the cache.
  write_file(hub() / "models--a--b" / "refs" / "main", "../../../..");
  EXPECT_EQ(run({"inspect", "a/b"}, "", surroundings_).status, 1);
}

TEST_F(HubCli, NamesABranchWhoseFileIsABrokenLink) {
  fs::remove(hub() / "models--a--b/refs/main");
  fs::create_symlink("gone", hub() / "models--a--b/refs/main");
  const Finished finished = run({"inspect", "--quiet", "a/b"}, "", surroundings_);
  EXPECT_EQ(finished.status, 1) << finished.describe();
  EXPECT_NE(finished.err.find("main: a symbolic link that leads nowhere: its target is gone"),
            std::string::npos)
      << finished.err;
}

TEST_F(HubCli, UsesTheBundledModelDespiteABrokenCacheLink) {
  fs::remove_all(cache_.path());
  fs::create_symlink("gone", cache_.path());
  const Finished finished = run_well({"inspect"}, "", surroundings_);
  EXPECT_NE(finished.err.find("the bundled tiny-shakespeare"), std::string::npos) << finished.err;
  EXPECT_NE(finished.err.find("leads nowhere: its target is gone"), std::string::npos)
      << finished.err;
  EXPECT_EQ(run({"inspect", "a/b"}, "", surroundings_).status, 1);
}

TEST_F(HubCli, PrefersTheDefaultModelToTheBundledModel) {
  add("models--skyoo2003--bit-axon", "1", golden_dir() / kSmallestModel);
  const Finished finished = run_well({"inspect"}, "", surroundings_);
  EXPECT_EQ(finished.err, "bit-axon: model: skyoo2003/bit-axon from the hub cache\n");
}

TEST_F(HubCli, IgnoresAnIncompleteDefaultModel) {
  const fs::path snapshot = hub() / "models--skyoo2003--bit-axon/snapshots/1";
  add("models--skyoo2003--bit-axon", "1", golden_dir() / kSmallestModel);
  for (const char* name : {"model.safetensors", "config.json"}) {
    fs::remove(snapshot / name);
    const Finished finished = run_well({"inspect"}, "", surroundings_);
    ASSERT_EQ(finished.err_lines().size(), 1U) << finished.err;
    EXPECT_NE(finished.err.find("the bundled tiny-shakespeare"), std::string::npos);
    EXPECT_NE(finished.err.find("the skyoo2003/bit-axon in the hub cache is incomplete"),
              std::string::npos)
        << finished.err;
  }
}

TEST_F(HubCli, OnlyAChatUsesTheBundledModelThatChats) {
  const auto first_line = [&](const Arguments& command) {
    const Finished finished = run_well(command + Arguments{"--max-tokens", "1", "--device", "cpu"},
                                       "Hello\n", surroundings_);
    return finished.err.substr(0, finished.err.find('\n'));
  };
  const std::vector<Arguments> chats = {{"chat"}, {"run", "--chat"}, {"run", "-c", "Hello"}};
  const std::string toy =
      "bit-axon: model: the bundled tiny-chat (2.2 M parameters, a toy that knows one page); "
      "--model names another";
  for (const Arguments& chat : chats) EXPECT_EQ(first_line(chat), toy);
  for (const Arguments& text : {Arguments{"run"}, {"run", "--chat-template", "chatml"}})
    EXPECT_NE(first_line(text).find("the bundled tiny-shakespeare"), std::string::npos);
  // A chat uses the same default model as other commands if the cache has it.
  const fs::path snapshot = hub() / "models--skyoo2003--bit-axon/snapshots/1";
  add("models--skyoo2003--bit-axon", "1", bundled_model_dir());
  for (const Arguments& chat : chats)
    EXPECT_EQ(first_line(chat), "bit-axon: model: skyoo2003/bit-axon from the hub cache");
  fs::remove(snapshot / "model.safetensors");
  for (const Arguments& chat : chats)
    EXPECT_EQ(first_line(chat), toy + "; the skyoo2003/bit-axon in the hub cache is incomplete");
}

TEST_F(HubCli, AnIncompleteModelNamesTheDownloadCommand) {
  const fs::path snapshot = hub() / "models--a--b/snapshots/bundled";
  const auto expect_gap = [&](const std::string& gap) {
    for (const Arguments& command : {Arguments{"inspect"}, {"run", "--prompt", "a", "-m"}}) {
      const Finished finished = run(command + Arguments{"a/b"}, "", surroundings_);
      EXPECT_EQ(finished.status, 1) << finished.describe();
      EXPECT_EQ(finished.err_lines().size(), 1U) << finished.err;
      for (const std::string& fragment : {std::string("`bit-axon download a/b`"), gap})
        EXPECT_NE(finished.err.find(fragment), std::string::npos) << finished.err;
    }
  };
  for (const char* name : {"model.safetensors", "tokenizer.json", "config.json"}) {
    fs::remove(snapshot / name);
    fs::create_symlink("../../blobs/removed", snapshot / name);
    expect_gap(name);
  }
  fs::remove(snapshot / "config.json");
  expect_gap("there is no config.json");
  fs::create_symlink(bundled_model_dir() / "config.json", snapshot / "config.json");
  fs::remove(snapshot / "tokenizer.json");
  fs::remove(snapshot / "model.safetensors");
  expect_gap("there is no *.safetensors");
  write_file(snapshot / "model.safetensors.index.json",
             R"({"weight_map": {"norm.weight": "model-00001-of-00002.safetensors"}})");
  expect_gap("model-00001-of-00002.safetensors");
}

TEST(ModelSourceCli, MessagesNameTheFlagOfTheModel) {
  for (const auto& [arguments, named] : std::vector<std::pair<Arguments, const char*>>{
           {{"inspect", "no"}, "MODEL no: "},
           {{"inspect", "-m", "no"}, "--model no: "},
           {{"quantize", "no", "--format", "nf4"}, "MODEL no: "},
           {{"merge", "no", "-a", "x", "-o", "y"}, "BASE no: "},
           {{"evaluate", "no"}, "MODEL no: "},
           {{"evaluate", "--device", "cpu", "--quiet", "--against", "no"}, "--against no: "}}) {
    const Finished finished = run(arguments);
    EXPECT_EQ(finished.status, 1) << finished.describe();
    EXPECT_EQ(finished.err.find(std::string("bit-axon: ") + named), 0U) << finished.err;
  }
}

TEST(ModelSourceCli, AModelFileUsesTheConfigAndTokenizerNextToIt) {
  const TemporaryFolder folder;
  copy_model(bundled_model_dir(), folder / "model");
  fs::rename(folder / "model/model.safetensors", folder / "model/any name.safetensors");
  const Arguments go = {"run", "--quiet", "--prompt", "ROMEO:", "--max-tokens", "8", "--seed", "1"};
  const std::string expected = run_well(go).out;
  const fs::path file = folder / "model/any name.safetensors";
  EXPECT_EQ(run_well(go + Arguments{"-m", file.string()}).out, expected);
  EXPECT_EQ(run_well(go + Arguments{"-m", file.parent_path().string()}).out, expected);
  Surroundings beside;
  beside.folder = file.parent_path();
  EXPECT_EQ(run_well(go + Arguments{"-m", file.filename().string()}, "", beside).out, expected);
  EXPECT_EQ(run_well(go + Arguments{"-m", "."}, "", beside).out, expected);
  // The tokenizer may also be in a folder tokenizer/ next to the model file.
  fs::create_directory(folder / "model/tokenizer");
  fs::rename(folder / "model/tokenizer.json", folder / "model/tokenizer/tokenizer.json");
  EXPECT_EQ(run_well(go + Arguments{"-m", file.string()}).out, expected);
  // The model has no tokenizer of its own. --tokenizer names one in another folder.
  fs::rename(folder / "model/tokenizer", folder / "elsewhere");
  EXPECT_EQ(run(go + Arguments{"-m", file.string()}).status, 1);
  EXPECT_EQ(
      run_well(go + Arguments{"-m", file.string(), "-t", (folder / "elsewhere").string()}).out,
      expected);
}

TEST(ModelSourceCli, NamesABrokenLink) {
  const TemporaryFolder folder;
  copy_model(bundled_model_dir(), folder / "model");
  const auto expect_link_named = [&](const Arguments& arguments, const std::string& link) {
    const Finished finished = run(arguments);
    EXPECT_EQ(finished.status, 1) << finished.describe();
    EXPECT_EQ(finished.err, fmt::format("bit-axon: {}: a symbolic link that leads nowhere: its "
                                        "target is gone\n",
                                        (folder / link).string()));
  };
  const Arguments go = {"run", "--quiet", "--max-tokens", "1", "a", "-m"};
  for (const char* name : {"model/tokenizer_config.json", "model/generation_config.json",
                           "model/special_tokens_map.json", "model/model.safetensors.index.json"}) {
    fs::create_symlink("gone", folder / name);
    expect_link_named(go + Arguments{(folder / "model").string()}, name);
    fs::remove(folder / name);
  }
  for (const char* name :
       {"model/tokenizer.json", "model/config.json", "model/model.safetensors"}) {
    fs::rename(folder / name, folder / "kept");
    fs::create_symlink("gone", folder / name);
    expect_link_named(go + Arguments{(folder / "model").string()}, name);
    fs::remove(folder / name);
    fs::rename(folder / "kept", folder / name);
  }
  fs::create_symlink("gone", folder / "link");
  const std::string link = (folder / "link").string();
  expect_link_named(go + Arguments{link}, "link");
  expect_link_named(go + Arguments{(folder / "model").string(), "-t", link}, "link");
  expect_link_named({"evaluate", "--quiet", "--text", link}, "link");
  expect_link_named({"run", "--quiet", "--messages", link}, "link");
}

TEST(ModelSourceCli, WarnsAboutUnknownConfigKeys) {
  const TemporaryFolder folder;
  copy_model(golden_dir() / kSmallestModel, folder.path());
  Json config = Json::parse(read_file(folder / "config.json"));
  config["model\x1btype"] = "axon";
  write_file(folder / "config.json", config.dump());
  const Finished finished = run_well({"run", "--device", "cpu", "-m", folder.path().string(),
                                      "--prompt-ids", "1", "--max-tokens", "1"});
  ASSERT_EQ(finished.err_lines().size(), 2U) << finished.err;
  EXPECT_EQ(finished.err.rfind("bit-axon: warning: ", 0), 0U) << finished.err;
  EXPECT_EQ(finished.err.find('\x1b'), std::string::npos);
}

/// A model of 128 ids, the bundled tokenizer of 1024 ids, and a mapping between them.
class MappedCli : public testing::TestWithParam<bool> {
 protected:
  MappedCli() {
    copy_model(golden_dir() / kSmallestModel, folder_.path());
    fs::copy_file(bundled_model_dir() / "tokenizer.json", folder_ / "tokenizer.json");
    // The tokenizer's ids of "ROMEO", ":\n" and "But", and then of some single characters.
    std::vector<std::int32_t> own = {870, 266, 453};
    for (std::int32_t id = 0; id < 100; ++id) own.push_back(id);
    std::string map;
    for (std::size_t i = 0; i < own.size(); ++i)
      map += fmt::format("{}{}{}{}: {}", i == 0 ? "" : ", ", quote(), own[i], quote(), 127 - i);
    rewrite_model(golden_model(kSmallestModel), folder_ / "model.safetensors",
                  {{"vocab_mapping", "{" + map + "}"}});
  }
  static const char* quote() { return GetParam() ? "\"" : ""; }

  TemporaryFolder folder_;
  Arguments model_ = {"--quiet", "-m", folder_.path().string()};
};

TEST_P(MappedCli, EncodesAndDecodesThroughTheMapping) {
  EXPECT_EQ(run_json(Arguments{"tokenize", "ROMEO:\nBut"} + model_), Json({127, 126, 125}));
  EXPECT_EQ(run_well(Arguments{"detokenize", "127", "126", "125"} + model_).out, "ROMEO:\nBut\n");
  // No token of the tokenizer maps to the model's id 0. So decoding id 0 gives no text.
  EXPECT_EQ(run_well(Arguments{"detokenize", "127", "0", "125"} + model_).out, "ROMEOBut\n");
  const Arguments go = Arguments{"run", "--json", "--max-tokens", "12", "--seed", "1"} + model_;
  const Json by_text = run_json(go + Arguments{"--prompt", "ROMEO:\nBut"});
  const Json by_ids = run_json(go + Arguments{"--prompt-ids", "127,126,125"});
  EXPECT_EQ(by_text["token_ids"], by_ids["token_ids"]);
  EXPECT_EQ(by_text["prompt_tokens"], 3);
  const std::string ids = joined(by_text["token_ids"].get<std::vector<std::int32_t>>());
  EXPECT_EQ(run_well(Arguments{"detokenize", ids} + model_).out,
            by_text["text"].get<std::string>() + "\n");
}

TEST_P(MappedCli, NamesATokenThatTheMappingLacks) {
  for (const char* command : {"tokenize", "run"}) {
    const Finished finished = run(Arguments{command, "ROMEO, thou"} + model_);
    EXPECT_EQ(finished.status, 1) << finished.describe();
    EXPECT_EQ(finished.err_lines().size(), 1U) << finished.err;
    EXPECT_NE(finished.err.find("vocab_mapping"), std::string::npos) << finished.err;
    EXPECT_NE(finished.err.find("thou"), std::string::npos) << finished.err;
  }
}

INSTANTIATE_TEST_SUITE_P(PythonAndJson, MappedCli, testing::Bool());

}  // namespace
}  // namespace bitaxon::test
