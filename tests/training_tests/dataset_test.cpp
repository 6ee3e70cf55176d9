// Data sets: which tokens are targets, what is left out, and what is refused.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "support/errors.h"
#include "training/data/data_report.h"
#include "training_tests/data_files.h"

namespace bitaxon::test {
namespace {

/// The only example of a file with its targets marked.
std::string targets_in(const std::string& line, const DataOptions& options = {},
                       const JinjaTemplate& chat_template = JinjaTemplate::chatml()) {
  const DataFolder folder;
  const Dataset data = folder.open(line, options, chat_template);
  return marked(data.encode(0).text, data.vocabulary());
}

constexpr const char* kTwoTurns =
    R"({"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"},
{"role": "assistant", "content": "Ho."}, {"role": "user", "content": "And?"},
{"role": "assistant", "content": "No."}, {"role": "user", "content": "Bye"}]})";

std::string two_turns() {
  std::string line = kTwoTurns;
  for (char& c : line)
    if (c == '\n') c = ' ';
  return line;
}

TEST(Dataset, TrainsTheContentAndTheEndOfEveryAnswer) {
  EXPECT_EQ(targets_in(two_turns()),
            "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n"
            "<|im_start|>assistant\n{+Ho.<|im_end|>+}\n<|im_start|>user\nAnd?<|im_end|>\n"
            "<|im_start|>assistant\n{+No.<|im_end|>+}\n<|im_start|>user\nBye<|im_end|>\n");
}

TEST(Dataset, TrainsTheLastAnswerOnly) {
  EXPECT_NE(targets_in(two_turns(), {.train_on = TrainOn::last})
                .find("assistant\nHo.<|im_end|>\n<|im_start|>user\nAnd?<|im_end|>\n"
                      "<|im_start|>assistant\n{+No.<|im_end|>+}\n"),
            std::string::npos);
}

TEST(Dataset, TrainsEveryToken) {
  const std::string text = targets_in(two_turns(), {.train_on = TrainOn::all});
  EXPECT_TRUE(text.starts_with("{+<|im_start|>system"));
  EXPECT_EQ(text.find("+}"), text.size() - 2);
}

TEST(Dataset, ATokenThatBeginsInTheHeaderIsNoTarget) {
  // "\n\n" is one token: the newline after the role, and the first one of the content.
  EXPECT_EQ(targets_in(chat_line("Q", "\\n\\nHere")),
            "<|im_start|>user\nQ<|im_end|>\n<|im_start|>assistant\n\n{+\nHere<|im_end|>+}\n");
}

TEST(Dataset, AnEmptyAnswerIsItsEnd) {
  EXPECT_EQ(targets_in(chat_line("Q", "")),
            "<|im_start|>user\nQ<|im_end|>\n<|im_start|>assistant\n{+<|im_end|>+}\n");
}

TEST(Dataset, SpecialTokensInAMessageAreText) {
  const DataFolder folder;
  const Dataset data = folder.open(chat_line("<|im_end|>", "a<|im_end|>b"));
  const EncodedExample example = data.encode(0);
  const std::int32_t end = *data.vocabulary().tokenizer().token_id("<|im_end|>");
  EXPECT_EQ(std::ranges::count(example.text.ids, end), 2);
  EXPECT_NE(marked(example.text, data.vocabulary()).find("{+a<|im_end|>b<|im_end|>+}"),
            std::string::npos);
}

TEST(Dataset, TrainsATextToItsEnd) {
  EXPECT_EQ(targets_in("{\"text\": \"To be\"}"), "{+To be<|im_end|>+}");
}

TEST(Dataset, ATextNeedsNoChatTokens) {
  const DataFolder folder;
  const Vocabulary bytes(Tokenizer::bytes(), "", 256);
  const Dataset data = folder.open("{\"text\": \"To\"}", {}, JinjaTemplate::chatml(), bytes);
  EXPECT_EQ(data.encode(0).text.ids, (std::vector<std::int32_t>{'T', 'o'}));
  expect_error([&] { folder.open(chat_line("Q", "A"), {}, JinjaTemplate::chatml(), bytes); },
               ErrorKind::unsupported, {"<|im_start|> and <|im_end|>"});
}

TEST(Dataset, TrainsTheAnswersOfAPair) {
  const DataFolder folder;
  const Dataset data = folder.open(R"({"prompt": "Q", "chosen": "A", "rejected": "Bad"})",
                                   {.objective = Objective::orpo});
  const EncodedExample pair = data.encode(0);
  EXPECT_EQ(marked(pair.text, data.vocabulary()),
            "<|im_start|>user\nQ<|im_end|>\n<|im_start|>assistant\n{+A<|im_end|>+}\n");
  EXPECT_EQ(marked(pair.rejected, data.vocabulary()),
            "<|im_start|>user\nQ<|im_end|>\n<|im_start|>assistant\n{+Bad<|im_end|>+}\n");
}

TEST(Dataset, FindsTheAnswersOfOtherTemplates) {
  const JinjaTemplate spaced = JinjaTemplate::parse(
      "{% for m in messages %}{% if m.role == 'user' %}[Q] {{ m.content | trim }} [A]"
      "{% else %} {{ m.content | trim }} <|im_end|>{% endif %}{% endfor %}");
  EXPECT_EQ(targets_in(chat_line("assistant", " \\n A  "), {}, spaced),
            "[Q] assistant [A]{+ A <|im_end|>+}");
  const JinjaTemplate kept = JinjaTemplate::parse(
      "{% for m in messages %}<|im_start|>{{ m.role }}:{{ m.content }}<|im_end|>{% endfor %}");
  EXPECT_EQ(targets_in(chat_line("Q", "  A "), {}, kept),
            "<|im_start|>user:Q<|im_end|><|im_start|>assistant:{+  A <|im_end|>+}");
}

void expect_not_found(std::string_view source, std::string_view fragment) {
  const DataFolder folder;
  const Dataset data = folder.open(chat_line("Q", "A"), {}, JinjaTemplate::parse(source));
  try {
    data.encode(0);
    ADD_FAILURE() << "expected an error";
  } catch (const Error& error) {
    EXPECT_NE(std::string_view(error.what()).find("train.jsonl:1: "), std::string::npos);
    EXPECT_NE(std::string_view(error.what()).find(fragment), std::string::npos) << error.what();
  }
}

TEST(Dataset, RefusesTemplatesWhoseAnswersCannotBeFound) {
  expect_not_found(
      "{% for m in messages %}{{ m.content | upper }}<|im_end|>{% endfor %}"
      "{{ messages[-1].content | length }}",
      "expected a chat template that writes each answer as it is");
  expect_not_found("{% for m in messages %}{{ m.content }}\n{% endfor %}",
                   "expected an end of sequence after each answer, got none after message 1");
  expect_not_found("{{ raise_exception('roles must alternate') }}", "roles must alternate");
}

TEST(Dataset, CutsExamplesAndCountsThoseWithoutTargets) {
  const DataFolder folder;
  const Dataset data = folder.open(chat_line("Q", "A") + chat_line("Q", std::string(300, 'x')) +
                                       chat_line(std::string(300, 'x'), "A"),
                                   {.max_seq_len = 32});
  const DataSurvey survey = data.survey();
  EXPECT_EQ(survey.n_examples, 3);
  EXPECT_EQ(survey.n_cut, 2);
  EXPECT_EQ(survey.n_without_targets, 1);
  EXPECT_EQ(survey.n_usable, 2);
  EXPECT_EQ(data.encode(1).text.ids.size(), 32U);
  EXPECT_GT(survey.lengths.max, 32);
  EXPECT_EQ(survey.forms, (std::vector<std::pair<std::string, std::int64_t>>{{"messages", 3}}));
}

TEST(Dataset, RefusesDataWithoutAnyTarget) {
  const DataFolder folder;
  const Dataset data = folder.open(chat_line(std::string(300, 'x'), "A"), {.max_seq_len = 32});
  expect_error([&] { data.survey(); }, ErrorKind::format,
               {"train.jsonl: expected an example to learn from, got none", "32 tokens"});
}

TEST(Dataset, LeavesOutPairsWhoseAnswerWasCutOff) {
  const DataFolder folder;
  const std::string fits = R"({"prompt": "Q", "chosen": "A", "rejected": "B"})";
  const std::string too_long =
      R"({"prompt": ")" + std::string(300, 'x') + R"(", "chosen": "A", "rejected": "B"})";
  const Dataset data =
      folder.open(fits + "\n" + too_long, {.objective = Objective::orpo, .max_seq_len = 32});
  const DataSurvey survey = data.survey();
  EXPECT_EQ(survey.n_usable, 1);
  EXPECT_EQ(survey.n_without_targets, 1);
}

/// The bundled tokenizer with a mapping that lacks the token "z".
Vocabulary without_z() {
  const Tokenizer tokenizer = bundled_vocabulary().tokenizer();
  std::string mapping = "{";
  for (std::int32_t id = 0; id < tokenizer.vocab_size(); ++id)
    if (id != tokenizer.token_id("z"))
      mapping += std::to_string(id) + ": " + std::to_string(id) + ",";
  return {tokenizer, mapping + "}", 1024};
}

TEST(Dataset, NamesATokenThatTheModelLacks) {
  const DataFolder folder;
  const std::string lines = chat_line("Q", "A") + chat_line("Q", "z") + chat_line("z", "A");
  const Dataset strict = folder.open(lines, {}, JinjaTemplate::chatml(), without_z());
  expect_error([&] { strict.survey(); }, ErrorKind::format,
               {"train.jsonl:2: token ",
                "(\"z\"): expected an image in the checkpoint's "
                "vocab_mapping, got none, as in 2 of 3 examples; --unmapped skip leaves them out"});
  const Dataset lenient =
      folder.open(lines, {.unmapped = Unmapped::skip}, JinjaTemplate::chatml(), without_z());
  EXPECT_EQ(lenient.survey().n_unmapped, 2);
  EXPECT_EQ(lenient.survey().n_usable, 1);
}

TEST(Dataset, NamesTheFirstBadLine) {
  const DataFolder folder;
  std::string lines;
  for (int i = 0; i < 500; ++i) lines += chat_line("Q", "A");
  expect_error([&] { folder.open(lines + "{\"a\": 1}\n{\"b\": }\n" + lines); }, ErrorKind::format,
               {"train.jsonl:501: example: expected messages", "got the keys a"});
  expect_error([&] { folder.open("\n\n"); }, ErrorKind::format,
               {"train.jsonl: expected at least one example, got none"});
  expect_error([&] { folder.open(lines + "[1]"); }, ErrorKind::format,
               {"train.jsonl:501: example: expected an object, got a list"});
}

TEST(Dataset, SplitsByTheSeed) {
  const DataFolder folder;
  std::string lines;
  for (int i = 0; i < 40; ++i) lines += chat_line("Q" + std::to_string(i), "A");
  const Dataset data = folder.open(lines);
  const auto [training, validation] = data.split(0.1, 7);
  EXPECT_EQ(training.size(), 36U);
  EXPECT_EQ(validation.size(), 4U);
  std::set<std::string> places;
  for (const Dataset* part : {&training, &validation})
    for (std::size_t i = 0; i < part->size(); ++i) places.insert(part->place_of(i));
  EXPECT_EQ(places.size(), 40U);
  EXPECT_NE(data.split(0.1, 8).second.place_of(0), validation.place_of(0));
  expect_error([&] { data.split(1, 7); }, ErrorKind::invalid_argument, {"val-split"});
}

TEST(Dataset, HashesItsExamples) {
  const DataFolder folder;
  const auto hash = [&](const std::string& lines) { return folder.open(lines).files()[0].hash; };
  const std::string a = chat_line("Q", "A"), b = chat_line("Q", "B");
  EXPECT_EQ(hash(a + b), hash(a + "\n" + b));
  EXPECT_NE(hash(a + b), hash(b + a));
  EXPECT_NE(hash(a + b), hash(a + a));
}

TEST(DataReport, DescribesTheData) {
  const DataFolder folder;
  const Dataset data =
      folder.open(chat_line("Q", "A") + chat_line("Q", std::string(300, 'x')), {.max_seq_len = 32});
  const std::string text = survey_text(data.survey(), data.options());
  EXPECT_NE(text.find("2 (2 messages)"), std::string::npos) << text;
  EXPECT_NE(text.find("1 of 2 than 32 tokens, cut"), std::string::npos) << text;
  const std::string example = example_text(data, 0, false);
  EXPECT_NE(example.find("<|im_start|>assistant\n{+A<|im_end|>+}\n"), std::string::npos) << example;
  EXPECT_NE(example_text(data, 0, true).find("\033[32mA<|im_end|>\033[0m"), std::string::npos);
}

// ---- examples that are tokens already

EncodedExample tokens(std::vector<std::int32_t> ids, std::vector<bool> is_target) {
  EncodedExample example;
  example.text.ids = std::move(ids);
  example.text.is_target = std::move(is_target);
  return example;
}

TEST(Dataset, TokensAreExamples) {
  const Dataset data = Dataset::of_tokens(
      {tokens({1, 2, 3}, {false, true, true}), tokens({4, 5, 6, 7, 8}, std::vector(5, true))},
      "dataset", 9, {.max_seq_len = 4});
  EXPECT_EQ(data.size(), 2U);
  EXPECT_FALSE(data.has_vocabulary());
  EXPECT_EQ(data.place_of(1), "dataset[1]");
  EXPECT_EQ(data.form_of(0), "tokens");
  EXPECT_EQ(data.encode(1).text.ids, (std::vector<std::int32_t>{4, 5, 6, 7}));
  EXPECT_TRUE(data.encode(1).text.was_cut());
  const DataSurvey survey = data.survey();
  EXPECT_EQ(survey.n_usable, 2);
  EXPECT_EQ(survey.n_cut, 1);
  EXPECT_EQ(survey.n_targets, 5);
  const auto [training, validation] = data.split(0.5, 1);
  EXPECT_EQ(training.size() + validation.size(), 2U);
}

TEST(Dataset, TokensHaveAHash) {
  const auto hash = [](std::vector<std::int32_t> ids, std::vector<bool> is_target) {
    return Dataset::of_tokens({tokens(std::move(ids), std::move(is_target))}, "d", 9, {})
        .files()
        .front()
        .hash;
  };
  EXPECT_EQ(hash({1, 2}, {false, true}), hash({1, 2}, {false, true}));
  EXPECT_NE(hash({1, 2}, {false, true}), hash({1, 3}, {false, true}));
  EXPECT_NE(hash({1, 2}, {false, true}), hash({1, 2}, {true, true}));
}

TEST(Dataset, RefusesTokensThatCannotBe) {
  const auto open = [](EncodedExample example) {
    return [example] { Dataset::of_tokens({example}, "dataset", 9, {}); };
  };
  expect_error(open(tokens({1, 9}, {true, true})), ErrorKind::format,
               {"dataset[0]: expected token ids of the model, 0..8, got 9"});
  expect_error(open(tokens({1, 2}, {true})), ErrorKind::format,
               {"dataset[0]: expected a loss mask of the 2 tokens, got one of 1"});
  expect_error([] { Dataset::of_tokens({}, "dataset", 9, {}); }, ErrorKind::format,
               {"dataset: expected at least one example, got none"});
}

}  // namespace
}  // namespace bitaxon::test
