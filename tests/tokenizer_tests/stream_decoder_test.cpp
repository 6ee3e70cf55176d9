#include <gtest/gtest.h>

#include <random>

#include "bitaxon/tokenizer.h"
#include "platform/utf8.h"
#include "support/source_tree.h"
#include "support/temporary_folder.h"
#include "tokenizer_json.h"

namespace bitaxon {
namespace {

using test::TemporaryFolder;

using Ids = std::vector<std::int32_t>;

// Decodes the tokens `ids` one by one and joins the pieces of text. Every piece must be valid
// UTF-8.
std::string streamed(const Tokenizer& tokenizer, const Ids& ids, bool skip_special) {
  StreamDecoder decoder(tokenizer, skip_special);
  std::string text;
  // The second round shows that finish() resets the decoder.
  for (int round = 0; round < 2; ++round) {
    text.clear();
    for (const std::int32_t id : ids) {
      const std::string piece = decoder.push(id);
      EXPECT_EQ(valid_prefix(piece), piece.size());
      text += piece;
    }
    const std::string rest = decoder.finish();
    EXPECT_EQ(valid_prefix(rest), rest.size());
    text += rest;
  }
  return text;
}

void expect_streams_as_it_decodes(const Tokenizer& tokenizer) {
  std::mt19937 random(3);
  for (int round = 0; round < 2000; ++round) {
    Ids ids;
    // In each of these tokenizers, the low ids are bytes. Runs of such ids form complete and
    // incomplete characters.
    for (unsigned i = 0; i < 1 + random() % 20; ++i) {
      const auto size = static_cast<std::mt19937::result_type>(tokenizer.vocab_size());
      ids.push_back(static_cast<std::int32_t>(random() % (random() % 3 == 0 ? size + 5 : 260)));
    }
    for (const bool skip : {false, true})
      ASSERT_EQ(streamed(tokenizer, ids, skip), tokenizer.decode(ids, skip));
  }
}

TEST(StreamDecoder, TheJoinedPiecesAreTheWholeText) {
  expect_streams_as_it_decodes(Tokenizer::bytes());
  expect_streams_as_it_decodes(Tokenizer::load(test::bundled_model_dir() / "tokenizer.json"));
#ifdef BITAXON_WITH_SENTENCEPIECE
  expect_streams_as_it_decodes(
      Tokenizer::load(test::golden_dir() / "sentencepiece" / "tokenizer.model"));
#endif
}

TEST(StreamDecoder, HoldsACharacterUntilItIsComplete) {
  StreamDecoder decoder(Tokenizer::bytes());
  EXPECT_EQ(decoder.push('a'), "a");
  EXPECT_EQ(decoder.push(0xF0), "");
  EXPECT_EQ(decoder.push(0x9F), "");
  EXPECT_EQ(decoder.push(0x99), "");
  EXPECT_EQ(decoder.push(0x82), "🙂");
  EXPECT_EQ(decoder.push(0xE2), "");
  EXPECT_EQ(decoder.push('b'),
            "\xEF\xBF\xBD"
            "b");
  EXPECT_EQ(decoder.push(0xE2), "");
  EXPECT_EQ(decoder.push(0x82), "");
  EXPECT_EQ(decoder.finish(), "\xEF\xBF\xBD");
  EXPECT_EQ(decoder.finish(), "");
  EXPECT_EQ(decoder.push('c'), "c");
}

TEST(StreamDecoder, DecodesATextByteByByte) {
  const std::string text = "na\xC3\xAFve \xE6\x97\xA5\xE6\x9C\xAC \xF0\x9F\x99\x82!";
  const Tokenizer bytes = Tokenizer::bytes();
  EXPECT_EQ(streamed(bytes, bytes.encode(text), false), text);
}

TEST(StreamDecoder, SkipsSpecialTokensInsideACharacter) {
  const TemporaryFolder folder;
  TokenizerJson json;
  const int special = json.add("<s>", {{"special", true}});
  const Tokenizer tokenizer = Tokenizer::load(folder.write("tokenizer.json", json.text()));
  const Ids ids = {0xC3, special, 0xA9};
  EXPECT_EQ(streamed(tokenizer, ids, false), "\xEF\xBF\xBD<s>\xEF\xBF\xBD");
  EXPECT_EQ(streamed(tokenizer, ids, true), "\xC3\xA9");
}

}  // namespace
}  // namespace bitaxon
