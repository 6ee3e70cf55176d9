#include "bitaxon/tokenizer.h"

#include <gtest/gtest.h>

#include "bitaxon/error.h"
#include "support/temporary_folder.h"
#include "tokenizer_json.h"

namespace bitaxon {
namespace {

using test::TemporaryFolder;

using Ids = std::vector<std::int32_t>;

TEST(Tokenizer, EncodesBytes) {
  const Tokenizer bytes = Tokenizer::bytes();
  EXPECT_EQ(bytes.kind(), "bytes");
  EXPECT_EQ(bytes.vocab_size(), 256);
  EXPECT_EQ(bytes.ends_of_sequence(), Ids());
  EXPECT_EQ(bytes.encode(std::string_view("a\0\xFF", 3)), (Ids{'a', 0, 255}));
  EXPECT_EQ(bytes.decode(Ids{0xF0, 0x9F, 0x99, 0x82, -1, 256, 0xC3, 'x'}), "🙂\xEF\xBF\xBDx");
  EXPECT_EQ(bytes.token_id("a"), 'a');
  EXPECT_EQ(bytes.token_id("ab"), std::nullopt);
  EXPECT_FALSE(bytes.is_special(0));
}

TEST(Tokenizer, TheContentDecidesTheKindRegardlessOfTheName) {
  const TemporaryFolder folder;
  EXPECT_EQ(
      Tokenizer::load(folder.write("tokenizer.model", " \r\n" + TokenizerJson().text())).kind(),
      "bpe");
}

TEST(Tokenizer, AByteOrderMarkIsSkipped) {
  const TemporaryFolder folder;
  const std::string mark = "\xEF\xBB\xBF";
  folder.write("tokenizer_config.json", mark + R"({"eos_token": "?"})");
  const Tokenizer tokenizer =
      Tokenizer::load(folder.write("tokenizer.json", mark + TokenizerJson({"a b"}).text()));
  EXPECT_EQ(tokenizer.encode("ab?"), (Ids{256, '?'}));
  EXPECT_EQ(tokenizer.ends_of_sequence(), Ids{'?'});
}

TEST(Tokenizer, RefusesFilesOfNeitherKind) {
  const TemporaryFolder folder;
  for (const std::string text :
       {" ", "[]", "version https://git-lfs", "\xEF\xBB\xBF[]", "\xFF\xFE{"}) {
    const auto file = folder.write("tokenizer.json", text);
    try {
      Tokenizer::load(file);
      ADD_FAILURE() << text;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::format);
      EXPECT_EQ(error.what(),
                file.string() + ": expected a JSON object or a SentencePiece model, got neither");
    }
  }
}

TEST(Tokenizer, IsFoundInAModelDirectory) {
  const TemporaryFolder folder;
  EXPECT_FALSE(Tokenizer::find(folder.path()));
  EXPECT_FALSE(Tokenizer::find(folder.path() / "missing"));
  folder.write("tokenizer.model", TokenizerJson().text());
  EXPECT_EQ(Tokenizer::find(folder.path())->vocab_size(), 256);
  folder.write("tokenizer/tokenizer.json", TokenizerJson({"a b"}).text());
  EXPECT_EQ(Tokenizer::find(folder.path())->vocab_size(), 257);
  folder.write("tokenizer.json", TokenizerJson({"a b", "c d"}).text());
  EXPECT_EQ(Tokenizer::find(folder.path())->vocab_size(), 258);
}

TEST(Tokenizer, AModelFileReplacesATokenizerJsonOfAnUnsupportedKind) {
  const TemporaryFolder folder;
  TokenizerJson unsupported;
  unsupported.document["model"]["type"] = "Unigram";
  const auto file = folder.write("tokenizer.json", unsupported.text());
  EXPECT_THROW(Tokenizer::find(folder.path()), Error);
  folder.write("tokenizer.model", TokenizerJson({"a b"}).text());
  const auto found = Tokenizer::find(folder.path());
  ASSERT_TRUE(found);
  EXPECT_EQ(found->vocab_size(), 257);
  EXPECT_EQ(found->note(), "tokenizer.model is used instead of " + file.string() +
                               ": model.type: expected \"BPE\", got \"Unigram\"");
  EXPECT_EQ(Tokenizer::load(folder.path() / "tokenizer.model").note(), "");
  // Such a kind has a vocabulary of its own form.
  for (const char* model : {R"("type": "Unigram", "vocab": [["<unk>", 0.0], ["a", -1.5]])",
                            R"("vocab": [["<unk>", 0.0], ["a", -1.5]], "type": "Unigram")"}) {
    folder.write("tokenizer.json", std::string(R"({"model": {)") + model + "}}");
    EXPECT_EQ(Tokenizer::find(folder.path())->vocab_size(), 257);
  }
  // A broken file is an error.
  folder.write("tokenizer.json", "{}");
  EXPECT_THROW(Tokenizer::find(folder.path()), Error);
}

TEST(Tokenizer, ABrokenLinkIsNotAnAbsentFile) {
  const TemporaryFolder folder;
  folder.write("tokenizer.model", TokenizerJson().text());
  const auto expect_link_named = [&](const std::string& link) {
    try {
      Tokenizer::find(folder.path());
      ADD_FAILURE() << link;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::io);
      EXPECT_EQ(error.what(), (folder.path() / link).string() +
                                  ": a symbolic link that leads nowhere: its target is gone");
    }
  };
  for (const std::string link :
       {"tokenizer.json", "tokenizer", "tokenizer_config.json", "special_tokens_map.json",
        "generation_config.json", "config.json"}) {
    std::filesystem::create_symlink("gone", folder.path() / link);
    expect_link_named(link);
    std::filesystem::remove(folder.path() / link);
  }
  EXPECT_EQ(Tokenizer::find(folder.path())->vocab_size(), 256);
}

TEST(Tokenizer, MissingFilesAreIoErrors) {
  try {
    Tokenizer::load("/nonexistent/tokenizer.json");
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::io);
  }
}

Ids ends_of(const std::filesystem::path& file) { return Tokenizer::load(file).ends_of_sequence(); }

TEST(EndsOfSequence, IncludeAWellKnownTokenAndTheTokensOfTheFiles) {
  const TemporaryFolder folder;
  TokenizerJson json;
  const auto ends = [&] { return ends_of(folder.write("tokenizer.json", json.text())); };
  EXPECT_EQ(ends(), Ids());
  folder.write("config.json", R"({"eos_token_id": 7})");
  EXPECT_EQ(ends(), Ids{7});
  const int slash = json.add("</s>");
  EXPECT_EQ(ends(), (Ids{slash, 7}));
  const int text = json.add("<|endoftext|>");
  EXPECT_EQ(ends(), (Ids{text, 7}));
  const int turn = json.add("<|im_end|>");
  EXPECT_EQ(ends(), (Ids{turn, 7}));
}

TEST(EndsOfSequence, AreCollectedFromAllFiles) {
  const TemporaryFolder folder;
  const auto file = folder.write("tokenizer/tokenizer.json", TokenizerJson().text());
  EXPECT_EQ(ends_of(file), Ids());
  folder.write("config.json", R"({"eos_token_id": 7})");  // config.json is in the parent folder
  EXPECT_EQ(ends_of(file), Ids{7});
  folder.write("tokenizer/config.json", R"({"eos_token_id": [8, 7]})");
  EXPECT_EQ(ends_of(file), (Ids{8, 7}));
  folder.write("tokenizer/generation_config.json", R"({"eos_token_id": [9, 10]})");
  EXPECT_EQ(ends_of(file), (Ids{9, 10, 8, 7}));
  folder.write("tokenizer/special_tokens_map.json", R"({"eos_token": {"content": "!"}})");
  EXPECT_EQ(ends_of(file), (Ids{'!', 9, 10, 8, 7}));
  folder.write("tokenizer/tokenizer_config.json", R"({"eos_token": "?", "eos_token_id": 9})");
  EXPECT_EQ(ends_of(file), (Ids{'?', 9, '!', 10, 8, 7}));
  folder.write("tokenizer/tokenizer_config.json", R"({"eos_token": ["?", {"content": "!"}]})");
  EXPECT_EQ(ends_of(file), (Ids{'?', '!', 9, 10, 8, 7}));
}

TEST(EndsOfSequence, InvalidTokensAreIgnored) {
  const TemporaryFolder folder;
  const auto file = folder.write("tokenizer.json", TokenizerJson().text());
  for (const char* text :
       {R"({"eos_token": "no such", "eos_token_id": -3})", R"({"eos_token_id": [[1], 256, -1]})",
        R"({"eos_token": null, "eos_token_id": null})", R"({"eos_token_id": 4000000000})",
        R"({"eos_token_id": [1.5, "1", true]})", "[5]", "5", "{}"}) {
    folder.write("generation_config.json", text);
    EXPECT_EQ(ends_of(file), Ids()) << text;
  }
  folder.write("generation_config.json", R"({"eos_token_id": [400, 8]})");
  EXPECT_EQ(ends_of(file), Ids{8});
}

TEST(EndsOfSequence, AGitLfsPointerOrEmptyFileIsAnError) {
  const TemporaryFolder folder;
  const auto file = folder.write("tokenizer.json", TokenizerJson().text());
  for (const auto& [text, expected] :
       {std::pair{"", "the file is empty"},
        {"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS pointer"}}) {
    const auto config = folder.write("generation_config.json", text);
    try {
      Tokenizer::load(file);
      ADD_FAILURE() << expected;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::format);
      EXPECT_NE(std::string(error.what()).find(config.string() + ": "), std::string::npos);
      EXPECT_NE(std::string(error.what()).find(expected), std::string::npos) << error.what();
    }
  }
}

TEST(EndsOfSequence, TheParentFolderCountsOnlyForAFolderNamedTokenizer) {
  const TemporaryFolder folder;
  const auto file = folder.write("other/tokenizer.json", TokenizerJson().text());
  folder.write("config.json", R"({"eos_token_id": 7})");
  EXPECT_EQ(ends_of(file), Ids());
}

}  // namespace
}  // namespace bitaxon
