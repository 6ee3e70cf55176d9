// Tests of the vocabulary of a model, with and without a mapping. A vocabulary is a tokenizer that
// uses the ids of the model.
#include <gtest/gtest.h>

#include <fstream>

#include "bitaxon/generate.h"
#include "support/errors.h"
#include "support/temporary_folder.h"
#include "support/tensors.h"

namespace bitaxon::test {
namespace {

std::vector<std::int32_t> ids_of(const Vocabulary& vocabulary, std::string_view text) {
  return vocabulary.encode(text);
}

TEST(Vocabulary, WithoutAMappingUsesTheIdsOfTheTokenizer) {
  const Vocabulary vocabulary(Tokenizer::bytes(), "", 256);
  EXPECT_EQ(ids_of(vocabulary, "ab"), (std::vector<std::int32_t>{97, 98}));
  EXPECT_EQ(vocabulary.decode(std::vector<std::int32_t>{97, 98}), "ab");
  EXPECT_EQ(vocabulary.to_tokenizer(98), 98);
  EXPECT_EQ(vocabulary.ends_of_sequence(), std::vector<std::int32_t>());
}

TEST(Vocabulary, MapsIdsInBothDirections) {
  for (const char* mapping : {"{97: 2, 98: 0, 99: 5}", R"({"97": 2, "98": 0, "99": 5})"}) {
    const Vocabulary vocabulary(Tokenizer::bytes(), mapping, 6);
    EXPECT_EQ(ids_of(vocabulary, "abcab"), (std::vector<std::int32_t>{2, 0, 5, 2, 0}));
    EXPECT_EQ(vocabulary.decode(std::vector<std::int32_t>{5, 0, 2}), "cba");
    EXPECT_EQ(vocabulary.to_tokenizer(5), 99);
    // No token of the tokenizer maps to the model's ids 1 and 3.
    EXPECT_EQ(vocabulary.to_tokenizer(1), -1);
    EXPECT_EQ(vocabulary.decode(std::vector<std::int32_t>{2, 1, 3, 0}), "ab");
  }
}

TEST(Vocabulary, MapsTheEndsOfSequence) {
  using Ids = std::vector<std::int32_t>;
  const TemporaryFolder folder;
  std::filesystem::copy_file(bundled_model_dir() / "tokenizer.json", folder / "tokenizer.json");
  std::ofstream(folder / "generation_config.json") << R"({"eos_token_id": [1023, 11, 12]})";
  const Tokenizer tokenizer = *Tokenizer::find(folder.path());
  EXPECT_EQ(Vocabulary(tokenizer, "", 1024).ends_of_sequence(), (Ids{1023, 11, 12}));
  EXPECT_EQ(Vocabulary(tokenizer, "{1023: 7}", 8).ends_of_sequence(), Ids{7});
  EXPECT_EQ(Vocabulary(tokenizer, "{12: 5, 1023: 7}", 8).ends_of_sequence(), (Ids{7, 5}));
  EXPECT_EQ(Vocabulary(tokenizer, "{1022: 7}", 8).ends_of_sequence(), Ids());
}

TEST(Vocabulary, NamesATokenThatTheMappingLacks) {
  const Vocabulary vocabulary(Tokenizer::bytes(), "{97: 0}", 1);
  expect_error([&] { ids_of(vocabulary, "aaz"); }, ErrorKind::invalid_argument,
               {"122", "\"z\"", "vocab_mapping"});
  expect_error([&] { ids_of(vocabulary, "\x1b"); }, ErrorKind::invalid_argument, {"token 27"});
}

TEST(Vocabulary, RefusesIdsOutsideTheVocabularyOfTheModel) {
  expect_error([] { Vocabulary(Tokenizer::bytes(), "", 255); }, ErrorKind::format,
               {"tokenizer", "255", "256"});
  expect_error([] { Vocabulary(Tokenizer::bytes(), "{1: 10}", 10); }, ErrorKind::format,
               {"vocab_mapping", "vocab_size", "10", "got 10"});
  expect_error([] { Vocabulary(Tokenizer::bytes(), "{1: 9, 2: 77}", 10); }, ErrorKind::format,
               {"10", "got 77"});
  // With a mapping, the tokenizer may have more tokens than the model.
  EXPECT_NO_THROW(Vocabulary(Tokenizer::bytes(), "{1: 9}", 10));
  EXPECT_NO_THROW(Vocabulary(Tokenizer::bytes(), "{}", 10));
}

TEST(Vocabulary, AMappingIsParsedStrictly) {
  for (const char* mapping :
       {"[]", "{", "{1: 2", "{1 2}", "{1: -2}", "{1: 2, 1: 3}", "{'1': 2}", "{1: 2} x",
        "{1: 2147483648}", "{1: 0x2}", "{1: 2.0}", "{1: __import__('os')}", "dict(a=1)", " "})
    expect_error([&] { Vocabulary(Tokenizer::bytes(), mapping, 10); }, ErrorKind::format,
                 {"vocab_mapping", "byte"});
}

}  // namespace
}  // namespace bitaxon::test
