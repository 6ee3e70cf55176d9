// Compares ids and texts with those that Hugging Face's tokenizers library gave for the files in
// tests/golden/tokenizers.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "bitaxon/tokenizer.h"
#include "platform/utf8.h"
#include "support/source_tree.h"
#include "support/temporary_folder.h"

namespace bitaxon {
namespace {

using Ids = std::vector<std::int32_t>;
using nlohmann::json;

std::filesystem::path folder(const std::string& name) {
  return test::golden_dir() / "tokenizers" / name;
}

json read(const std::string& name, const char* file) {
  return json::parse(std::ifstream(folder(name) / file));
}

std::string streamed(const Tokenizer& tokenizer, const Ids& ids, bool skip_special) {
  StreamDecoder decoder(tokenizer, skip_special);
  std::string text;
  for (const std::int32_t id : ids) {
    const std::string piece = decoder.push(id);
    EXPECT_EQ(valid_prefix(piece), piece.size());
    text += piece;
  }
  return text + decoder.finish();
}

void expect_texts(const Tokenizer& tokenizer, const json& recorded, const Ids& ids) {
  const auto decoded = recorded["decoded"].get<std::string>();
  const auto skipped = recorded["decoded_skip_special"].get<std::string>();
  EXPECT_EQ(tokenizer.decode(ids), decoded) << recorded;
  EXPECT_EQ(tokenizer.decode(ids, true), skipped) << recorded;
  EXPECT_EQ(streamed(tokenizer, ids, false), decoded) << recorded;
  EXPECT_EQ(streamed(tokenizer, ids, true), skipped) << recorded;
}

/// Expects what the library made of a text.
void expect_recorded(const Tokenizer& tokenizer, const json& recorded) {
  const auto text = recorded["text"].get<std::string>();
  const Ids ids = recorded["ids"].get<Ids>();
  EXPECT_EQ(tokenizer.encode(text), ids) << recorded;
  EXPECT_EQ(tokenizer.encode(text, {.add_special = true}), recorded["ids_special"].get<Ids>())
      << recorded;
  if (recorded.contains("ids_special_as_text")) {
    EXPECT_EQ(tokenizer.encode(text, {.special_as_text = true}),
              recorded["ids_special_as_text"].get<Ids>())
        << recorded;
  }
  expect_texts(tokenizer, recorded, ids);
}

class Recorded : public testing::TestWithParam<const char*> {};

TEST_P(Recorded, EncodesAndDecodesAsTheLibraryDid) {
  const Tokenizer tokenizer = Tokenizer::load(folder(GetParam()) / "tokenizer.json");
  const json cases = read(GetParam(), "cases.json");
  ASSERT_GT(cases.size(), 150U);
  for (const json& recorded : cases) expect_recorded(tokenizer, recorded);
}

TEST_P(Recorded, DecodesIdsThatAreNoTextAsTheLibraryDid) {
  const Tokenizer tokenizer = Tokenizer::load(folder(GetParam()) / "tokenizer.json");
  const json cases = read(GetParam(), "decode_cases.json");
  ASSERT_GT(cases.size(), 40U);
  for (const json& recorded : cases) expect_texts(tokenizer, recorded, recorded["ids"].get<Ids>());
}

TEST_P(Recorded, ATextEndsWithTheTokenOfTheConfiguration) {
  const Tokenizer tokenizer = Tokenizer::load(folder(GetParam()) / "tokenizer.json");
  const json config = read(GetParam(), "tokenizer_config.json");
  const auto end = tokenizer.token_id(config["eos_token"].get<std::string>());
  ASSERT_TRUE(end);
  EXPECT_EQ(std::ranges::count(tokenizer.ends_of_sequence(), *end), 1);
}

INSTANTIATE_TEST_SUITE_P(Tokenizers, Recorded,
                         testing::Values("falcon", "gpt2", "gpt2_flags", "gpt_neox", "jamba",
                                         "llama3", "qwen3", "spm_metaspace", "spm_prepend"),
                         [](const auto& test) { return std::string(test.param); });

#ifdef BITAXON_WITH_SENTENCEPIECE
class RecordedModel : public testing::TestWithParam<const char*> {};

TEST_P(RecordedModel, EncodesAndDecodesAsSentencePieceDid) {
  const test::TemporaryFolder alone;  // without a tokenizer_config.json there are no added tokens
  std::filesystem::copy(folder(GetParam()) / "tokenizer.model", alone.path());
  const Tokenizer tokenizer = Tokenizer::load(alone.path() / "tokenizer.model");
  for (const json& recorded : read(GetParam(), "cases.json")) {
    const Ids ids = recorded["sentencepiece_ids"].get<Ids>();
    EXPECT_EQ(tokenizer.encode(recorded["text"].get<std::string>()), ids) << recorded;
    EXPECT_EQ(tokenizer.decode(ids), recorded["sentencepiece_decoded"].get<std::string>())
        << recorded;
  }
}

// tokenizer_config.json names the added tokens and the token in front of a text. With them the model
// gives the ids of the tokenizer.json.
TEST(RecordedTokenizerConfig, JambasModelIsAsGoodAsItsTokenizerJson) {
  const Tokenizer tokenizer = Tokenizer::load(folder("jamba") / "tokenizer.model");
  for (const json& recorded : read("jamba", "cases.json")) expect_recorded(tokenizer, recorded);
}

INSTANTIATE_TEST_SUITE_P(Tokenizers, RecordedModel, testing::Values("jamba", "spm_prepend"),
                         [](const auto& test) { return std::string(test.param); });
#endif

}  // namespace
}  // namespace bitaxon
