// Tests of `tokenize` and `detokenize`: a text becomes ids, and the ids become the same bytes
// again.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "model_folder.h"
#include "program.h"
#include "support/temporary_folder.h"
#include "support/tensors.h"

namespace bitaxon::test {
namespace {

std::string bundled_tokenizer() { return (bundled_model_dir() / "tokenizer.json").string(); }
std::string sentencepiece() {
  return (golden_dir() / "sentencepiece" / "tokenizer.model").string();
}

TEST(LengthyTokenizeCli, ReproducesRecordedCases) {
  const TemporaryFolder folder;
  const auto text = folder / "text";
  const auto ids = folder / "ids.json";
  const Json cases = Json::parse(read_file(golden_dir() / "tokenizer" / "cases.json"));
  ASSERT_GE(cases.size(), 10U);
  for (const Json& one : cases) {
    SCOPED_TRACE(one["text"].dump());
    write_file(text, one["text"]);
    write_file(ids, one["ids"].dump());
    EXPECT_EQ(run_json({"tokenize", "--quiet", "--file", text.string()}), one["ids"]);
    const Finished back = run_well({"detokenize", "--quiet", "--file", ids.string()});
    EXPECT_EQ(back.out, one["decoded"].get<std::string>() + "\n");
    EXPECT_EQ(back.err, "");
  }
  for (const Json& one : Json::parse(read_file(golden_dir() / "tokenizer" / "decode_cases.json"))) {
    const std::string list = joined(one["ids"].get<std::vector<std::int32_t>>());
    EXPECT_EQ(run_well({"detokenize", "--quiet", list}).out,
              one["decoded"].get<std::string>() + "\n");
  }
}

TEST(TokenizeCli, ReadsSentencePiece) {
  const TemporaryFolder folder;
  const auto text = folder / "text";
  for (const Json& one : Json::parse(read_file(golden_dir() / "sentencepiece" / "cases.json"))) {
    SCOPED_TRACE(one["text"].dump());
    write_file(text, one["text"]);
    // --tokenizer may name the model file or its folder.
    for (const std::string& name : {sentencepiece(), (golden_dir() / "sentencepiece").string()})
      EXPECT_EQ(run_json({"tokenize", "-t", name, "--file", text.string()}), one["ids"]);
  }
  EXPECT_EQ(
      run_well({"detokenize", "-t", sentencepiece(), "475", "320", "425,383", "320", "262"}).out,
      "ROMEO:\n");
}

TEST(TokenizeCli, ReadsArgumentStdinAndFile) {
  const Json ids = run_json({"tokenize", "To be\n", "--quiet"});
  EXPECT_EQ(run_json({"tokenize", "--quiet"}, "To be\n"), ids);
  EXPECT_NE(run_json({"tokenize", "--quiet"}, "To be"), ids);  // `tokenize` removes no line end
  EXPECT_EQ(run_json({"tokenize", "--quiet"}, ""), Json::array());
  EXPECT_EQ(run_json({"tokenize", "--quiet", ""}), Json::array());
  EXPECT_EQ(run_json({"tokenize", "--quiet", "--", "-5"}), run_json({"tokenize", "--quiet"}, "-5"));
  const Finished spoken = run_well({"tokenize", "To be"});
  ASSERT_EQ(spoken.err_lines().size(), 1U);
  EXPECT_EQ(spoken.err.rfind("bit-axon: model: the bundled", 0), 0U) << spoken.err;
  // Some command-line libraries would split these arguments.
  for (const char* text : {"[a,b]", "{}", "%%", "\"quoted\"", "'single'", "a,b", "a\\nb", "$HOME"})
    EXPECT_EQ(run_json({"tokenize", "--quiet", text}), run_json({"tokenize", "--quiet"}, text))
        << text;
}

TEST(TokenizeCli, HandlesBytesAndSpecialTokens) {
  EXPECT_EQ(run_json({"tokenize", "--quiet", "<|im_start|>a<|im_end|><|endoftext|>"}),
            Json({1022, 64, 1023, 1021}));
  EXPECT_EQ(run_well({"detokenize", "--quiet", "1022", "64", "1023"}).out,
            "<|im_start|>a<|im_end|>\n");
  EXPECT_EQ(run_json({"tokenize", "--config-small", "h\xc3\xa9"}), Json({104, 195, 169}));
  EXPECT_EQ(run_json({"tokenize", "--config-small"}, std::string("\0\xff\n", 3)),
            Json({0, 255, 10}));
  EXPECT_EQ(run_well({"detokenize", "--config-small", "104,195,169"}).out, "h\xc3\xa9\n");
  // The id 1000 exists in the model, but not in the tokenizer.
  EXPECT_EQ(run_well({"detokenize", "--config-small", "104,1000,105"}).out, "hi\n");
}

TEST(TokenizeCli, FlagsSayWhatBecomesOfSpecialTokens) {
  const Arguments llama = {"-t", (golden_dir() / "tokenizers" / "llama3").string()};
  const Arguments tokenize = Arguments{"tokenize"} + llama;
  const std::string text = "a<|eot_id|>";
  const Json ids = run_json(tokenize + Arguments{text});
  ASSERT_EQ(ids.size(), 3U);
  EXPECT_EQ(ids[0], 3500);  // the token in front of every text
  EXPECT_EQ(ids[2], 3509);
  EXPECT_EQ(run_json(tokenize + Arguments{"--no-special", text}), Json({ids[1], ids[2]}));
  const Json plain = run_json(tokenize + Arguments{"--no-special", "--special-as-text", text});
  EXPECT_GT(plain.size(), 3U);
  const Arguments back = Arguments{"detokenize"} + llama;
  EXPECT_EQ(run_well(back + Arguments{joined(ids.get<std::vector<std::int32_t>>())}).out,
            "<|begin_of_text|>a<|eot_id|>\n");
  EXPECT_EQ(
      run_well(back + Arguments{"--skip-special", joined(ids.get<std::vector<std::int32_t>>())})
          .out,
      "a\n");
  EXPECT_EQ(run_well(back + Arguments{joined(plain.get<std::vector<std::int32_t>>())}).out,
            text + "\n");
}

TEST(TokenizeCli, SaysThatAModelFileReplacesATokenizerJson) {
  const TemporaryFolder folder;
  std::filesystem::copy(sentencepiece(), folder.path());
  write_file(folder / "tokenizer.json", R"({"model": {"type": "Unigram"}})");
  const Finished finished = run_well({"tokenize", "-t", folder.path().string(), "To be"});
  EXPECT_EQ(finished.out, run_well({"tokenize", "-t", sentencepiece(), "To be"}).out);
  EXPECT_EQ(finished.err, "bit-axon: tokenizer.model is used instead of " +
                              (folder / "tokenizer.json").string() +
                              ": model.type: expected \"BPE\", got \"Unigram\"\n");
}

TEST(TokenizeCli, ATokenizerNeedsNoModel) {
  EXPECT_EQ(run_json({"tokenize", "-t", bundled_tokenizer(), "To be"}),
            run_json({"tokenize", "--quiet", "To be"}));
  const Finished finished = run_well({"tokenize", "-t", bundled_model_dir().string(), "To be"});
  EXPECT_EQ(finished.err, "");
}

TEST(TokenizeCli, EncodesLongTextInLinearTime) {
  // The text has a megabyte. A quadratic algorithm would not finish within the guard time.
  std::string text;
  while (text.size() < (std::size_t{1} << 20))
    text += "To be, or not to be: that is the question.\n";
  const Json ids = run_json({"tokenize", "--quiet"}, text);
  const TemporaryFolder folder;
  write_file(folder / "ids", ids.dump());
  EXPECT_EQ(run_well({"detokenize", "--quiet", "--file", (folder / "ids").string()}).out,
            text + "\n");
}

}  // namespace
}  // namespace bitaxon::test
