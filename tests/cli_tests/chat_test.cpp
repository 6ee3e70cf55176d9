// Tests of `bit-axon run --chat`, with questions from a pipe.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>

#include "model_folder.h"
#include "program.h"
#include "support/temporary_folder.h"
#include "support/tensors.h"

namespace bitaxon::test {
namespace {

/// All chats run on one device in exact precision, so that their states can be compared byte by
/// byte.
const Arguments kExactly = {"--quiet", "--device", "cpu", "--precision", "exact"};
const Arguments kShort = {"--max-tokens", "10", "--seed", "4"};
const Arguments kModel = kExactly + Arguments{"-m", bundled_model_dir().string()};
const Arguments kChat = Arguments{"run", "--chat"} + kShort + kModel;

/// Computes the expected result of a chat with other commands. Each turn is passed to `bit-axon
/// run` as token ids.
class ExpectedChat {
 public:
  explicit ExpectedChat(std::string system = {}) : system_(std::move(system)) {}

  void ask(const std::string& question, const Arguments& more = {}) {
    std::string text = fed_.empty() ? "" : "<|im_end|>\n";
    if (fed_.empty() && !system_.empty()) text += "<|im_start|>system\n" + system_ + "<|im_end|>\n";
    text += "<|im_start|>user\n" + question + "<|im_end|>\n<|im_start|>assistant\n";
    const auto ids = run_json({"tokenize", "--quiet"}, text).get<std::vector<std::int32_t>>();
    fed_.insert(fed_.end(), ids.begin(), ids.end());
    pieces_.push_back(static_cast<std::int32_t>(ids.size()));
    Arguments go = Arguments{"run", "--json",       "--max-tokens", "10",           "--seed",
                             "4",   "--prompt-ids", joined(ids),    "--save-state", state()} +
                   kModel + more;
    if (pieces_.size() > 1) go = go + Arguments{"--load-state", state()};
    const Json json = run_json(go);
    out_ += json["text"].get<std::string>() + "\n";
    for (const std::int32_t id : json["token_ids"]) {
      fed_.push_back(id);
      pieces_.push_back(1);
    }
  }
  const std::string& out() const { return out_; }
  /// The bytes of the state file after all ids. `bit-axon logits` feeds the ids in the same pieces
  /// as a chat.
  std::string fed_state() const {
    run_well(Arguments{"logits", "--ids", joined(fed_), "--split", joined(pieces_), "--out",
                       (folder_ / "l").string(), "--save-state", (folder_ / "fed").string()} +
             kModel);
    return read_file(folder_ / "fed");
  }

 private:
  std::string state() const { return (folder_ / "s").string(); }
  TemporaryFolder folder_;
  std::string system_;
  std::vector<std::int32_t> fed_, pieces_;
  std::string out_;
};

TEST(LengthyChatCli, TheHistoryIsKeptAsTokenIds) {
  const TemporaryFolder folder;
  const Arguments save = {"--save-state", (folder / "state").string()};
  ExpectedChat expected;
  expected.ask("Who is there?");
  expected.ask("Long live the king!");
  const Finished finished = run_well(kChat + save, "Who is there?\nLong live the king!\n");
  EXPECT_EQ(finished.out, expected.out());
  EXPECT_EQ(finished.err, "");
  EXPECT_EQ(read_file(folder / "state"), expected.fed_state());
  // The result depends neither on how the lines are split nor on how the input ends.
  for (const char* input : {"Who is there?\r\n\nLong live the king!",
                            "Who is there?\nLong live the king!\n/exit\nmore\n",
                            "forget this\n/RESET \nWho is there?\nLong live the king!\n/quit\n"}) {
    const Finished same = run_well(kChat + save, input);
    EXPECT_EQ(same.out.substr(same.out.size() - std::min(same.out.size(), expected.out().size())),
              expected.out());
    EXPECT_EQ(read_file(folder / "state"), expected.fed_state()) << input;
  }
  // The result is also the same if the first question is on the command line, and with --no-stream
  // or --run-ahead.
  for (const Arguments& more : {Arguments{"Who is there?"}, Arguments{"--prompt", "Who is there?"},
                                Arguments{"Who is there?", "--no-stream", "--run-ahead", "0"},
                                Arguments{"Who is there?", "--run-ahead", "8"}}) {
    EXPECT_EQ(run_well(kChat + save + more, "Long live the king!\n").out, expected.out());
    EXPECT_EQ(read_file(folder / "state"), expected.fed_state());
  }
}

TEST(ChatCli, EndsOnExitAndQuit) {
  const std::string expected = run_well(kChat, "hello\n").out;
  for (const char* word :
       {"exit", "quit", "/exit", "/quit", "Exit", "QUIT", "  exit  ", "quit\r"}) {
    SCOPED_TRACE(word);
    EXPECT_EQ(run_well(kChat, fmt::format("hello\n{}\nhello\n", word)).out, expected);
    EXPECT_EQ(run_well(kChat, fmt::format("hello\n{}", word)).out, expected);
  }
  // "exit" or "quit" ends the chat only if it is alone in a line and is not the first question on
  // the command line.
  for (const char* question : {"exit the stage", "the exit", "exits", "quit."})
    EXPECT_GT(run_well(kChat, std::string(question) + "\n").out.size(), 1U) << question;
  EXPECT_GT(run_well(kChat + Arguments{"exit"}, "").out.size(), 1U);
}

TEST(ChatCli, ChatEqualsRunChat) {
  Arguments chat = kChat;
  chat.erase(chat.begin() + 1);
  chat[0] = "chat";
  const std::string questions = "Who is there?\nLong live the king!\n";
  EXPECT_EQ(run_well(chat, questions).out, run_well(kChat, questions).out);
  const Arguments more = {"--system", "Be brief.", "--no-stream", "--stop", "e", "Who is there?"};
  EXPECT_EQ(run_well(chat + more, questions).out, run_well(kChat + more, questions).out);
}

TEST(ChatCli, TellsHowToEndTheChatOnATerminal) {
  Surroundings surroundings;
  surroundings.stdin_is_terminal = true;
  const Arguments chat = {"chat", "--max-tokens", "2", "--device", "cpu"};
  const auto waits = [](const std::string&, const std::string& err) { return err.ends_with("> "); };
  for (const char* end : {"exit\n", "quit\n", "\x04"}) {
    Program program(chat, surroundings);
    ASSERT_TRUE(program.read_until(waits));
    const std::string first = program.err().substr(program.err().find("exit"));
    for (const char* way : {"exit or quit", "Ctrl-D", "Ctrl-C at an empty prompt"})
      EXPECT_NE(first.find(way), std::string::npos) << program.err();
    program.write(end);
    // Reads until the chat ends by itself. The terminal is still open then.
    program.read_until([](const std::string&, const std::string&) { return false; });
    EXPECT_EQ(program.finish().status, 0) << end;
  }
  Program program(chat, surroundings);
  ASSERT_TRUE(program.read_until(waits));
  EXPECT_TRUE(program.signal_until_it_ends(SIGINT));
  EXPECT_EQ(program.finish().status, 130);
}

TEST(LengthyChatCli, ASystemMessageIsFedFirstAndAfterReset) {
  const TemporaryFolder folder;
  const Arguments more = {"--system", "Be brief.", "--save-state", (folder / "state").string()};
  ExpectedChat expected("Be brief.");
  expected.ask("Who is there?");
  EXPECT_EQ(run_well(kChat + more, "Who is there?\n").out, expected.out());
  EXPECT_EQ(read_file(folder / "state"), expected.fed_state());
  EXPECT_EQ(run_well(kChat + more, "Who is there?\n/reset\nWho is there?\n").out,
            expected.out() + expected.out());
  EXPECT_EQ(read_file(folder / "state"), expected.fed_state());
}

TEST(ChatCli, AStopStringEndsAndClosesATurn) {
  const TemporaryFolder folder;
  const Arguments stop = {"--stop", "e"};
  ExpectedChat expected;
  expected.ask("Who is there?", stop);
  expected.ask("And now?", stop);
  const Arguments save = {"--save-state", (folder / "state").string()};
  EXPECT_EQ(run_well(kChat + stop + save, "Who is there?\nAnd now?\n").out, expected.out());
  EXPECT_EQ(read_file(folder / "state"), expected.fed_state());
}

TEST(ChatCli, ContinuesFromASavedState) {
  const TemporaryFolder folder;
  ExpectedChat expected;
  expected.ask("Who is there?");
  expected.ask("And now?");
  const std::string state = (folder / "state").string();
  const std::string first =
      run_well(kChat + Arguments{"--save-state", state}, "Who is there?\n").out;
  const std::string second =
      run_well(kChat + Arguments{"--load-state", state, "--save-state", state}, "And now?\n").out;
  EXPECT_EQ(first + second, expected.out());
  EXPECT_EQ(read_file(state), expected.fed_state());
}

TEST(ChatCli, CommandsAndNotesGoToStderr) {
  const Finished finished = run_well(
      {"run", "--chat", "--max-tokens", "2", "-m", bundled_model_dir().string(), "--device", "cpu"},
      "/help\n/nonsense\x1b\nhello\n/exit\n");
  const auto lines = finished.err_lines();
  ASSERT_EQ(lines.size(), 3U) << finished.err;
  EXPECT_NE(lines[0].find("/reset"), std::string::npos) << lines[0];
  EXPECT_NE(lines[1].find("expected /reset, /exit, /quit or /help"), std::string::npos) << lines[1];
  EXPECT_EQ(lines[1].find('\x1b'), std::string::npos) << "text from a pipe reaches the terminal";
  EXPECT_NE(lines[2].find("── 2 tokens"), std::string::npos) << lines[2];
  const Finished nothing = run_well(kChat, "");
  EXPECT_EQ(nothing.out + nothing.err, "");
}

TEST(ChatCli, AnInvalidQuestionDoesNotEndTheChat) {
  const Finished finished = run_well(kChat, "hello\nbroken \xff\nhello again\n");
  EXPECT_EQ(finished.out, run_well(kChat, "hello\nhello again\n").out);
  ASSERT_EQ(finished.err_lines().size(), 1U) << finished.err;
  EXPECT_NE(finished.err.find("expected UTF-8, got byte 0xff at byte 7"), std::string::npos)
      << finished.err;
}

TEST(LengthyChatCli, ASystemMessageIsUsedAfterASavedState) {
  const TemporaryFolder folder;
  const std::string state = (folder / "state").string();
  run_well(kChat + Arguments{"--save-state", state}, "Who is there?\n");
  const Arguments load = {"--load-state", state};
  EXPECT_NE(run_well(kChat + load + Arguments{"--system", "Rhyme."}, "And now?\n").out,
            run_well(kChat + load, "And now?\n").out);
}

/// Copies a model and renames the tokens of the chat template in its tokenizer.
void copy_model_without_template_tokens(const std::filesystem::path& to) {
  copy_model(bundled_model_dir(), to);
  std::string tokenizer = read_file(to / "tokenizer.json");
  for (const char* name : {"<|im_start|>", "<|im_end|>"})
    tokenizer.replace(tokenizer.find(name), 5, "<|xx_");
  write_file(to / "tokenizer.json", tokenizer);
}

TEST(ChatCli, RefusesATokenizerWithoutTheTemplatesTokens) {
  const TemporaryFolder folder;
  const std::string model = (folder / "model").string();
  copy_model_without_template_tokens(model);
  const std::string messages = (folder / "m.json").string();
  write_file(messages, R"([{"role": "user", "content": "hi"}])");
  for (const Arguments& chat : {Arguments{"--chat", "-m", model},
                                {"--chat", "--config-small"},
                                {"--messages", messages, "-m", model}}) {
    const Finished finished = run(Arguments{"run", "--quiet", "--max-tokens", "2"} + chat, "hi\n");
    EXPECT_EQ(finished.status, 1) << finished.describe();
    EXPECT_EQ(finished.out, "");
    EXPECT_EQ(finished.err,
              "bit-axon: chat: expected a tokenizer with the special tokens of the chat template, "
              "got one without <|im_start|> and <|im_end|>; `--chat-template none` sends plain "
              "text\n");
  }
  // Without a chat, these tokens are not needed.
  run_well({"run", "--quiet", "-m", model, "--max-tokens", "2", "hi"});
}

TEST(ChatCli, WithoutATemplateEveryMessageIsALine) {
  const TemporaryFolder folder;
  copy_model_without_template_tokens(folder / "model");
  const Arguments more = {"--chat-template", "none", "--system", "The king enters."};
  const std::string state = (folder / "state").string();
  const Finished finished = run_well(
      Arguments{"run", "--chat", "-m", (folder / "model").string(), "--save-state", state} +
          kShort + kExactly + more,
      "Who is there?\nWho?\n");
  const auto line = [&](const std::string& prompt, const Arguments& states) {
    return run_well(Arguments{"run", "--prompt", prompt} + kShort + kModel + states).out;
  };
  const std::string own = (folder / "own").string();
  const std::string first = line("The king enters.\nWho is there?\n", {"--save-state", own});
  const std::string second = line("\nWho?\n", {"--load-state", own, "--save-state", own});
  EXPECT_EQ(finished.out, first + second);
}

TEST(ChatCli, ReportsAFullContextAndContinuesAfterReset) {
  const TemporaryFolder folder;
  copy_model(bundled_model_dir(), folder.path());
  Json config = Json::parse(read_file(folder / "config.json"));
  config["max_seq_len"] = 48;
  write_file(folder / "config.json", config.dump());
  const Arguments chat = {"run",    "--chat", "--device", "cpu", "--max-tokens",
                          "20",     "--seed", "1",        "-m",  folder.path().string(),
                          "--quiet"};
  const Finished full = run_well(chat, "Who is there?\nWho?\nWho?\n");
  EXPECT_NE(full.err.find("the context is full (48 tokens): /reset"), std::string::npos)
      << full.describe();
  const Finished reset = run_well(chat, "Who is there?\nWho?\nWho?\n/reset\nWho is there?\n");
  const std::string first = reset.out.substr(0, run_well(chat, "Who is there?\n").out.size());
  EXPECT_EQ(reset.out.substr(reset.out.size() - first.size()), first);
}

TEST(ChatCli, ReportsThatAQuestionDoesNotFitTheAskedContext) {
  const Arguments chat = {"run", "--chat",  "--device",  "cpu", "--max-tokens", "4", "--seed",
                          "1",   "--quiet", "--context", "48"};
  const Finished full = run_well(chat, "Who?\n" + std::string(200, 'a') + "\nWho?\n");
  EXPECT_NE(full.err.find("the context is full (48 tokens): /reset"), std::string::npos)
      << full.describe();
}

}  // namespace
}  // namespace bitaxon::test
