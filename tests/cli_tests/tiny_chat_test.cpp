// Tests of the bundled model that chats.
#include <gtest/gtest.h>

#include <sstream>

#include "program.h"
#include "support/source_tree.h"
#include "support/temporary_folder.h"
#include "support/tensors.h"

namespace bitaxon::test {
namespace {

namespace fs = std::filesystem;

fs::path tiny_chat() { return source_tree() / "models" / "tiny-chat"; }

Arguments with_tiny_chat(const Arguments& command) {
  return command + Arguments{"--quiet", "-m", tiny_chat().string(), "--device", "cpu"};
}

using Texts = std::vector<std::string>;

/// The answers of one chat. `between` is written after each question.
Texts answers_to(const Texts& questions, const std::string& between = {},
                 const Arguments& more = {}) {
  std::string input;
  for (const std::string& question : questions) input += question + "\n" + between;
  std::istringstream lines(run_well(with_tiny_chat({"chat"}) + more, input).out);
  Texts answers;
  for (std::string line; std::getline(lines, line);) answers.push_back(line);
  return answers;
}

const Texts kQuestions = {"Hello", "What is Bit-Axon?", "Do I need a GPU?",
                          "What is the capital of France?", "Bye!"};
const Texts kAnswers = {
    "Hello! I am tiny-chat, a toy model. Ask me about Bit-Axon.",
    "Bit-Axon is a hybrid language model with selective-scan layers, attention and experts. This "
    "program runs it on any machine.",
    "No. Without a GPU it runs on the CPU.",
    "I do not know. I am a toy and know only a page about Bit-Axon.",
    "Goodbye! Type exit to end the chat."};

TEST(TinyChat, AnswersQuestionsThatItHasSeen) {
  EXPECT_EQ(answers_to(kQuestions, "/reset\n"), kAnswers);
}

TEST(TinyChat, AnswersEachQuestionOfAChatAlone) {
  EXPECT_EQ(answers_to(kQuestions), kAnswers);
  Texts turned(kQuestions.rbegin(), kQuestions.rend());
  EXPECT_EQ(answers_to(turned), Texts(kAnswers.rbegin(), kAnswers.rend()));
}

TEST(TinyChat, ContinuesASavedChat) {
  const TemporaryFolder folder;
  const std::string state = (folder / "state").string();
  answers_to({"Hello"}, "", {"--save-state", state});
  const Texts answers = answers_to({"Do I need a GPU?"}, "", {"--load-state", state});
  ASSERT_EQ(answers.size(), 1U);
  EXPECT_FALSE(answers[0].empty());
}

TEST(TinyChat, EndsItsAnswerWithTheEndToken) {
  const Json end = run_json({"tokenize", "-m", tiny_chat().string(), "--quiet", "<|im_end|>"});
  ASSERT_EQ(end.size(), 1U);
  for (const char* question : {"hi", "Who are you?", "how do I quantize a model", "zzz"}) {
    const Json answer = run_json(with_tiny_chat({"run", "--json", question}));
    EXPECT_EQ(answer["finish_reason"], "stop") << question;
    EXPECT_EQ(answer["stop_token_id"], end[0]) << question;
    EXPECT_LT(answer["token_ids"].size(), 200U) << question;
  }
}

TEST(TinyChat, HasATemplateOfTheSystemMessageAndTheLastMessage) {
  const TemporaryFolder folder;
  const auto text_of = [&](const std::string& messages) {
    write_file(folder / "m.json", messages);
    return run_well({"template", "--quiet", "-m", tiny_chat().string(), "--messages",
                     (folder / "m.json").string()})
        .out;
  };
  const std::string last = "<|im_start|>user\nWhy?<|im_end|>\n<|im_start|>assistant\n";
  const std::string why = R"({"role": "user", "content": "Why?"}])";
  EXPECT_EQ(text_of("[" + why), last);
  EXPECT_EQ(text_of(R"([{"role": "user", "content": "Hello"}, )"
                    R"({"role": "assistant", "content": "Hello!"}, )" +
                    why),
            last);
  EXPECT_EQ(text_of(R"([{"role": "system", "content": "Be brief."}, )" + why),
            "<|im_start|>system\nBe brief.<|im_end|>\n" + last);
}

TEST(TinyChat, IsSmall) {
  std::uintmax_t bytes = 0;
  for (const auto& entry : fs::directory_iterator(tiny_chat())) bytes += entry.file_size();
  EXPECT_GT(bytes, 0U);
  EXPECT_LE(bytes, 8'000'000U);
}

}  // namespace
}  // namespace bitaxon::test
