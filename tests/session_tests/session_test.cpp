// Tests of opening a session with the library: what is found, what is chosen, and which notes and
// errors are given.
#include "bitaxon/session.h"

#include <gtest/gtest.h>

#include "support/errors.h"
#include "support/source_tree.h"
#include "support/temporary_folder.h"

namespace bitaxon::test {
namespace {

const ModelRequest kBundled = {.model = bundled_model_dir().string()};

std::string greedy_text(Session& session, const std::string& prompt) {
  State state = session.model.new_state();
  GenerateOptions options;
  options.sampler.temperature = 0;
  options.max_tokens = 5;
  return generate(session.model, state, &*session.vocabulary, session.vocabulary->encode(prompt),
                  options)
      .text;
}

TEST(Session, GeneratesFromANamedModel) {
  Session session = open_session(kBundled, "cpu");
  EXPECT_EQ(session.model_name, bundled_model_dir().string());
  EXPECT_EQ(caps_of(*session.backend).name, "cpu");
  EXPECT_TRUE(session.notes.empty()) << session.notes[0];
  EXPECT_TRUE(session.warnings.empty()) << session.warnings[0];
  const std::string text = greedy_text(session, "ROMEO:");
  EXPECT_FALSE(text.empty());
  Session other = open_session(kBundled, "reference");
  EXPECT_EQ(greedy_text(other, "ROMEO:"), text);
}

TEST(Session, NotesStateTheDeviceAndThePrecision) {
  const Session automatic = open_session(kBundled, "auto");
  ASSERT_EQ(automatic.notes.size(), 1U);
  EXPECT_TRUE(automatic.notes[0].starts_with("device: ")) << automatic.notes[0];
  const Session exact = open_session(kBundled, "reference", {.precision = Precision::fast});
  ASSERT_EQ(exact.notes.size(), 1U);
  EXPECT_EQ(exact.notes[0], "precision: the reference device always computes exactly");
}

TEST(Session, APresetHasRandomWeightsAndAByteTokenizer) {
  const ModelRequest request{.preset = "small", .quantize = "nf4"};
  const Session session = open_session(request, "cpu");
  EXPECT_EQ(session.model_name, "the small preset with random weights");
  EXPECT_EQ(session.vocabulary->tokenizer().kind(), "bytes");
  EXPECT_EQ(session.model.main_format(), "nf4_g64");
  EXPECT_EQ(find_spec(request), session.model.spec());
  EXPECT_FALSE(find_model(request).source.has_value());
}

TEST(Session, ErrorsNameTheArgumentOfTheCaller) {
  const auto open = [](const ModelRequest& request) { open_session(request, "cpu"); };
  expect_error([&] { open({.model = "/nonexistent"}); }, ErrorKind::io,
               {"model /nonexistent: expected a model directory"});
  expect_error([&] { open({.model = "/nonexistent", .model_argument = "--base"}); }, ErrorKind::io,
               {"--base /nonexistent: expected a model directory"});
  const TemporaryFolder folder;
  expect_error([&] { open({.model = kBundled.model, .tokenizer = folder.path().string()}); },
               ErrorKind::io, {"tokenizer ", folder.path().string(), "tokenizer.json"});
  expect_error([&] { open_session(kBundled, "abacus"); }, ErrorKind::invalid_argument, {"abacus"});
}

TEST(Session, AVocabularyNeedsNoWeightsInMemory) {
  FoundModel found = find_model(kBundled);
  read_tokenizer(found);
  const Vocabulary vocabulary = open_vocabulary(found);
  EXPECT_EQ(vocabulary.decode(vocabulary.encode("ROMEO:")), "ROMEO:");
  FoundModel medium = find_model({.preset = "medium"});
  read_tokenizer(medium);
  expect_error([&] { open_vocabulary(medium); }, ErrorKind::io,
               {"the medium preset has no tokenizer: name one with tokenizer"});
}

}  // namespace
}  // namespace bitaxon::test
