// Tests of `bit-axon run`: prompts, streaming, seeds, and when a text ends.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <regex>
#include <set>

#include "model_folder.h"
#include "program.h"
#include "support/temporary_folder.h"
#include "support/tensors.h"

namespace bitaxon::test {
namespace {

const Arguments kSeeded = {"run", "--quiet", "--seed", "7", "--max-tokens", "24"};

TEST(LengthyRunCli, AcceptsEveryKindOfPrompt) {
  const std::string prompt = "ROMEO:\nBut soft";
  const std::string expected = run_well(kSeeded + Arguments{prompt}).out;
  EXPECT_GT(expected.size(), 10U);
  EXPECT_EQ(expected.find("ROMEO:\nBut soft"), std::string::npos)
      << "the prompt must not be echoed";
  EXPECT_EQ(run_well(kSeeded + Arguments{"--prompt", prompt}).out, expected);
  EXPECT_EQ(run_well(kSeeded, prompt).out, expected);
  EXPECT_EQ(run_well(kSeeded, prompt + "\n").out, expected);
  EXPECT_EQ(run_well(kSeeded, prompt + "\r\n").out, expected);
  // One line end after the prompt is removed. A second line end belongs to the prompt.
  for (const std::string more : {"\n", "\r\n", "\r"})
    EXPECT_EQ(run_well(kSeeded, prompt + more + "\n").out,
              run_well(kSeeded + Arguments{prompt + (more == "\r" ? "" : more)}).out);
  EXPECT_EQ(run_well(kSeeded, prompt + "\n\r").out,
            run_well(kSeeded + Arguments{prompt + "\n\r"}).out);
  const Json ids = run_json({"tokenize", "--quiet", prompt});
  EXPECT_EQ(run_well(kSeeded + Arguments{"--prompt-ids", ids.dump()}).out, expected);
  EXPECT_EQ(run_well(kSeeded + Arguments{"--prompt-ids", ids.dump() + "\r\n"}).out, expected);
  EXPECT_EQ(run_well(kSeeded + Arguments{"--", "-5"}).out, run_well(kSeeded, "-5").out);
}

TEST(RunCli, MessagesAreFormattedByTheChatTemplate) {
  const TemporaryFolder folder;
  const std::string file = (folder / "messages.json").string();
  write_file(file, R"([{"role": "user", "content": "Who is there?"},
                       {"role": "assistant", "content": "Nay."},
                       {"role": "user", "content": "Long live the king!"}])");
  const std::string rest =
      "<|im_start|>user\nWho is there?<|im_end|>\n<|im_start|>assistant\nNay.<|im_end|>\n"
      "<|im_start|>user\nLong live the king!<|im_end|>\n<|im_start|>assistant\n";
  EXPECT_EQ(run_well(kSeeded + Arguments{"--messages", file}).out,
            run_well(kSeeded + Arguments{"--prompt", rest}).out);
  EXPECT_EQ(
      run_well(kSeeded + Arguments{"--messages", file, "--system", "Be brief."}).out,
      run_well(kSeeded + Arguments{"--prompt", "<|im_start|>system\nBe brief.<|im_end|>\n" + rest})
          .out);
}

TEST(RunCli, WithoutATemplateEachMessageIsALine) {
  const TemporaryFolder folder;
  const std::string file = (folder / "messages.json").string();
  write_file(file, "\xef\xbb\xbf[{\"role\": \"user\", \"content\": \"Who is there?\"}]");
  const Arguments plain = {"--messages", file, "--chat-template", "none"};
  EXPECT_EQ(run_well(kSeeded + plain).out,
            run_well(kSeeded + Arguments{"--prompt", "Who is there?\n"}).out);
  EXPECT_EQ(run_well(kSeeded + plain + Arguments{"--system", "Be brief."}).out,
            run_well(kSeeded + Arguments{"--prompt", "Be brief.\nWho is there?\n"}).out);
  EXPECT_EQ(run_well(kSeeded + Arguments{"--messages", file, "--chat-template", "chatml"}).out,
            run_well(kSeeded + Arguments{"--messages", file}).out);
  // Without a template, the tokenizer needs no special tokens.
  EXPECT_EQ(run_well(kSeeded + plain + Arguments{"--config-small"}).out,
            run_well(kSeeded + Arguments{"--config-small", "--prompt", "Who is there?\n"}).out);
}

TEST(LengthyRunCli, StreamedWholeAndJsonTextsAreEqual) {
  for (const Arguments& model : {Arguments{}, Arguments{"--config-small"}}) {
    const Arguments go = kSeeded + model + Arguments{"--prompt", "To be"};
    const Finished streamed = run_well(go);
    EXPECT_EQ(streamed.err, "");
    EXPECT_EQ(run_well(go + Arguments{"--no-stream"}).out, streamed.out);
    EXPECT_EQ(run_json(go + Arguments{"--json"})["text"].get<std::string>() + "\n", streamed.out);
  }
}

TEST(RunCli, JsonHoldsEveryField) {
  const Json json = run_json({"run", "--json", "--prompt", "To be", "--max-tokens", "5", "--seed",
                              "18446744073709551615"});
  std::set<std::string> keys;
  for (const auto& [key, value] : json.items()) keys.insert(key);
  for (const char* key : {"text", "token_ids", "prompt_tokens", "completion_tokens",
                          "tokens_per_sec", "prefill_tokens_per_sec", "time_to_first_token_ms",
                          "total_ms", "per_token_ms", "finish_reason", "seed", "device",
                          "precision", "prefill_ms", "stop_token_id", "cached_tokens"})
    EXPECT_EQ(keys.count(key), 1U) << key;
  EXPECT_EQ(json["completion_tokens"], 5);
  EXPECT_EQ(json["token_ids"].size(), 5U);
  EXPECT_EQ(json["per_token_ms"].size(), 5U);
  EXPECT_EQ(json["finish_reason"], "length");
  EXPECT_EQ(json["seed"], 18446744073709551615ULL);
  EXPECT_EQ(json["device"], "cpu");
  EXPECT_EQ(json["precision"], "fast");
  EXPECT_EQ(json["prompt_tokens"], run_json({"tokenize", "--quiet", "To be"}).size());
  EXPECT_GT(json["total_ms"], 0);
  EXPECT_GE(json["total_ms"], json["time_to_first_token_ms"]);
  EXPECT_GE(json["time_to_first_token_ms"], json["prefill_ms"]);
  EXPECT_GT(json["prefill_ms"], 0);
  EXPECT_EQ(json["cached_tokens"], 0);
}

TEST(LengthyRunCli, ASeedGivesTheSameTextInEveryMode) {
  const Arguments go = {"run", "--json", "--quiet", "--prompt",      "KING:", "--max-tokens",
                        "40",  "--seed", "11",      "--temperature", "1"};
  const Json expected = run_json(go)["token_ids"];
  for (const char* threads : {"1", "2", "3"})
    EXPECT_EQ(run_json(go + Arguments{"--threads", threads})["token_ids"], expected) << threads;
  for (int depth = 0; depth <= 8; ++depth)
    EXPECT_EQ(run_json(go + Arguments{"--run-ahead", std::to_string(depth)})["token_ids"], expected)
        << depth;
  Arguments other = go;
  other[8] = "12";
  EXPECT_NE(run_json(other)["token_ids"], expected);
  // Without --seed, the program chooses a seed and reports it. A run with the reported seed gives
  // the same text again.
  const Arguments unseeded = {"run",   "--json",       "--quiet", "--prompt",
                              "KING:", "--max-tokens", "20"};
  const Json one = run_json(unseeded);
  EXPECT_EQ(run_json(unseeded + Arguments{"--seed", one["seed"].dump()})["token_ids"],
            one["token_ids"]);
  EXPECT_NE(run_json(unseeded)["seed"], one["seed"]);
}

TEST(RunCli, SamplersThatKeepOneTokenAreGreedy) {
  const Arguments go = {
      "run", "--quiet", "--prompt", "ROMEO:", "--max-tokens", "30", "--seed", "3"};
  const std::string greedy = run_well(go + Arguments{"--temperature", "0"}).out;
  for (const Arguments& sampler :
       {Arguments{"--top-k", "1"}, Arguments{"--top-p", "0"}, Arguments{"--min-p", "1"},
        Arguments{"--temperature", "1e-30", "--top-k", "0", "--top-p", "1"}})
    EXPECT_EQ(run_well(go + sampler).out, greedy) << sampler[0];
  EXPECT_NE(run_well(go + Arguments{"--temperature", "0", "--repetition-penalty", "1.5"}).out,
            greedy);
}

TEST(RunCli, NotesGoToStderr) {
  const Finished spoken = run_well({"run", "--prompt", "To be", "--max-tokens", "3"});
  const auto lines = spoken.err_lines();
  ASSERT_EQ(lines.size(), 3U) << spoken.err;
  EXPECT_EQ(lines[0].rfind("bit-axon: model: the bundled tiny-shakespeare", 0), 0U) << lines[0];
  EXPECT_EQ(lines[1].rfind("bit-axon: device: cpu", 0), 0U) << lines[1];
  const std::regex footer("── 3 tokens · [0-9]+\\.[0-9] tok/s · TTFT [0-9]+ms ──");
  EXPECT_TRUE(std::regex_match(lines[2], footer)) << lines[2];
  EXPECT_EQ(spoken.err.find('\x1b'), std::string::npos) << "colors appear only on a terminal";
  // There are no notes about a model and a device that the command line names.
  const Finished named = run_well({"run", "-m", bundled_model_dir().string(), "--device", "cpu",
                                   "--prompt", "To be", "--max-tokens", "1"});
  ASSERT_EQ(named.err_lines().size(), 1U) << named.err;
  EXPECT_EQ(named.err.rfind("── 1 token ·", 0), 0U) << named.err;
  const Finished verbose =
      run_well({"run", "--verbose", "--prompt", "a", "--max-tokens", "1", "--seed", "4711"});
  EXPECT_NE(verbose.err.find("seed 4711"), std::string::npos) << verbose.err;
  const Finished fast = run_well({"run", "--device", "reference", "--precision", "fast", "--prompt",
                                  "a", "--max-tokens", "1", "-m", bundled_model_dir().string()});
  ASSERT_EQ(fast.err_lines().size(), 2U) << fast.err;
  EXPECT_EQ(fast.err.rfind("bit-axon: precision: ", 0), 0U) << fast.err;
}

TEST(RunCli, StopStringsEndTheText) {
  const Arguments go = {
      "run", "--quiet", "--prompt", "ROMEO:", "--max-tokens", "40", "--seed", "2"};
  std::string text = run_well(go).out;
  text.pop_back();
  ASSERT_GT(text.size(), 40U);
  for (const std::string& stop :
       {text.substr(20, 1), text.substr(10, 7), text.substr(1, 30), text.substr(text.size() - 3)}) {
    SCOPED_TRACE(stop);
    const std::string expected = text.substr(0, text.find(stop));
    const Json json = run_json(go + Arguments{"--json", "--stop", stop});
    EXPECT_EQ(json["text"], expected);
    EXPECT_EQ(json["finish_reason"], "stop");
    EXPECT_TRUE(json["stop_token_id"].is_null());
    EXPECT_EQ(run_well(go + Arguments{"--stop", stop}).out, expected + "\n");
    EXPECT_EQ(run_well(go + Arguments{"--stop", "never there", "--stop", stop, "--no-stream"}).out,
              expected + "\n");
  }
  // The end of this text is held back, because it may begin a stop string. It is printed when the
  // generation ends.
  EXPECT_EQ(run_well(go + Arguments{"--stop", text.substr(text.size() - 2) + "\x01"}).out,
            text + "\n");
  // --stop takes only one argument, so the argument after it is the prompt.
  EXPECT_EQ(
      run_well({"run", "--quiet", "--max-tokens", "40", "--seed", "2", "--stop", "\x01", "ROMEO:"})
          .out,
      text + "\n");
  EXPECT_EQ(run_json(go + Arguments{"--json", "--stop", "[" + text.substr(3, 1) + "]"})["text"],
            text);
}

TEST(RunCli, EndOfSequenceEndsTheText) {
  const TemporaryFolder folder;
  copy_model(bundled_model_dir(), folder.path());
  // The model seldom generates its own end-of-sequence token. So the test declares a comma to be
  // the end-of-sequence token.
  std::string tokenizer = read_file(folder / "tokenizer.json");
  for (const char* name : {"<|im_end|>", "<|endoftext|>"})
    tokenizer.replace(tokenizer.find(name), 3, "<|~");
  write_file(folder / "tokenizer.json", tokenizer);
  write_file(folder / "generation_config.json", R"({"eos_token_id": [11, 1021]})");
  const Arguments go = {"run",      "--quiet", "-m",           folder.path().string(),
                        "--prompt", "ROMEO:",  "--max-tokens", "60",
                        "--seed",   "2",       "--json"};
  const Json whole = run_json(go + Arguments{"--ignore-eos"});
  EXPECT_EQ(whole["finish_reason"], "length");
  EXPECT_TRUE(whole["stop_token_id"].is_null());
  const auto all = whole["token_ids"].get<std::vector<std::int32_t>>();
  const auto end = std::find(all.begin(), all.end(), 11);
  ASSERT_NE(end, all.end());
  const std::vector<std::int32_t> expected(all.begin(), end);
  for (const char* run_ahead : {"0", "2", "8"}) {
    const Json json = run_json(go + Arguments{"--run-ahead", run_ahead});
    EXPECT_EQ(json["token_ids"].get<std::vector<std::int32_t>>(), expected);
    EXPECT_EQ(json["finish_reason"], "stop");
    EXPECT_EQ(json["stop_token_id"], 11);
    EXPECT_EQ(json["completion_tokens"], expected.size());
    const std::string text = whole["text"];
    EXPECT_EQ(json["text"], text.substr(0, text.find(',')));
  }
}

TEST(RunCli, OnlyTheStartOfAPlainTextGetsABeginningToken) {
  const TemporaryFolder folder;
  copy_model(bundled_model_dir(), folder.path());
  Json tokenizer = Json::parse(read_file(folder / "tokenizer.json"));
  tokenizer["post_processor"] = {
      {"type", "TemplateProcessing"},
      {"single", {{{"SpecialToken", {{"id", "start"}}}}, {{"Sequence", {{"id", "A"}}}}}},
      {"special_tokens", {{"start", {{"ids", {1021}}}}}}};
  write_file(folder / "tokenizer.json", tokenizer.dump());
  write_file(folder / "chat.json", R"([{"role": "user", "content": "To be"}])");
  const Arguments model = {"-m", folder.path().string(), "--quiet"};
  const Arguments run = Arguments{"run", "--json", "--max-tokens", "0"} + model;
  const std::string state = (folder / "state").string();

  const std::size_t n = run_json(Arguments{"tokenize", "--no-special", "To be"} + model).size();
  const Json ids = run_json(Arguments{"tokenize", "To be"} + model);
  EXPECT_EQ(ids.size(), n + 1);
  EXPECT_EQ(ids[0], 1021);
  EXPECT_EQ(run_json(run + Arguments{"--prompt", "To be", "--save-state", state})["prompt_tokens"],
            n + 1);
  const Json later = run_json(run + Arguments{"--prompt", "To be", "--load-state", state});
  EXPECT_EQ(later["prompt_tokens"], n);
  EXPECT_EQ(later["cached_tokens"], n + 1);
  // A template writes the token itself, and ids are taken as they are.
  const Arguments chat = {"run", "--json",     "--max-tokens",
                          "0",   "--messages", (folder / "chat.json").string()};
  EXPECT_EQ(run_json(chat + model)["prompt_tokens"],
            run_json(chat + Arguments{"--quiet"})["prompt_tokens"]);
  EXPECT_EQ(run_json(run + Arguments{"--prompt-ids", "1,2"})["prompt_tokens"], 2);

  write_file(folder / "text", "To be or not to be");
  const Arguments evaluate = {"evaluate", "--json", "--text", (folder / "text").string()};
  EXPECT_EQ(run_json(evaluate + model)["tokens"].get<int>(),
            run_json(evaluate + Arguments{"--quiet"})["tokens"].get<int>() + 1);
}

TEST(RunCli, GeneratesNoTokensForMaxTokensZero) {
  const Arguments go = {"run", "--quiet", "--prompt", "To be", "--max-tokens", "0"};
  EXPECT_EQ(run_well(go).out, "\n");
  const Json json = run_json(go + Arguments{"--json"});
  EXPECT_EQ(json["text"], "");
  EXPECT_EQ(json["token_ids"], Json::array());
  EXPECT_EQ(json["finish_reason"], "length");
}

TEST(RunCli, PrintsIdsWithoutATokenizer) {
  const Arguments go = {
      "run",          "--quiet", "-m",           golden_model(kSmallestModel).string(),
      "--prompt-ids", "1, 2,3",  "--max-tokens", "6",
      "--seed",       "1"};
  const Json json = run_json(go + Arguments{"--json"});
  EXPECT_TRUE(json["text"].is_null());
  EXPECT_EQ(parse_json(run_well(go).out, "stdout"), json["token_ids"]);
  EXPECT_EQ(json["prompt_tokens"], 3);
}

TEST(RunCli, StopsAtTheContext) {
  const Arguments go = {"run", "--quiet", "--json", "-m", (golden_dir() / kSmallestModel).string()};
  const Json json = run_json(go + Arguments{"--context", "5", "--prompt-ids", "1,2,3"});
  EXPECT_EQ(json["completion_tokens"], 3);
  EXPECT_EQ(json["finish_reason"], "length");
  EXPECT_EQ(
      run_json(go + Arguments{"--context", "3", "--prompt-ids", "1,2,3"})["completion_tokens"], 1);
  const Finished refused = run(go + Arguments{"--context", "2", "--prompt-ids", "1,2,3"});
  EXPECT_EQ(refused.status, 1) << refused.describe();
  EXPECT_NE(refused.err.find("the context, which is 2"), std::string::npos) << refused.err;
  for (const char* wrong : {"0", "x", "-1", "99999999"}) {
    const Finished usage = run(go + Arguments{"--context", wrong, "--prompt-ids", "1"});
    EXPECT_EQ(usage.status, 2) << usage.describe();
    EXPECT_NE(usage.err.find("--context: expected"), std::string::npos) << usage.err;
  }
}

TEST(RunCli, StopsAtMaxSeqLen) {
  const TemporaryFolder folder;
  copy_model(golden_dir() / kSmallestModel, folder.path());
  Json config = Json::parse(read_file(folder / "config.json"));
  config["max_seq_len"] = 64;
  write_file(folder / "config.json", config.dump());
  const auto ids = [](std::size_t n) { return joined(std::vector<std::int32_t>(n, 5)); };
  const Arguments go = {"run", "--quiet", "--json", "-m", folder.path().string(), "--prompt-ids"};
  for (const std::size_t n : {60U, 63U, 64U}) {
    const Json json = run_json(go + Arguments{ids(n)});
    EXPECT_EQ(json["completion_tokens"], 65 - n);
    EXPECT_EQ(json["finish_reason"], "length");
  }
  const Finished refused = run(go + Arguments{ids(65)});
  EXPECT_EQ(refused.status, 1) << refused.describe();
  EXPECT_NE(refused.err.find("65"), std::string::npos) << refused.err;
  EXPECT_NE(refused.err.find("64"), std::string::npos) << refused.err;
}

TEST(RunCli, DoesNotReadStdinWhenAPromptIsGiven) {
  // Stdin is an open pipe without data, so a read would block forever.
  Program program({"run", "--quiet", "--prompt", "To be", "--max-tokens", "3"});
  EXPECT_TRUE(program.read_until([](const std::string& out, const std::string&) {
    return !out.empty() && out.back() == '\n';
  }));
  EXPECT_EQ(program.finish().status, 0);
}

TEST(RunCli, TheDeviceFlagOverridesTheEnvironment) {
  const Arguments go = {"run", "--quiet", "--json", "--prompt", "a", "--max-tokens", "1"};
  const auto with = [](const std::string& device) {
    Surroundings surroundings;
    surroundings.environment["BIT_AXON_DEVICE"] = device;
    return surroundings;
  };
  EXPECT_EQ(run_json(go, "", with("reference"))["device"], "reference");
  EXPECT_EQ(run_json(go + Arguments{"--device", "cpu"}, "", with("reference"))["device"], "cpu");
  EXPECT_EQ(run_json(go + Arguments{"--device", "cpu"}, "", with("nonsense"))["device"], "cpu");
  EXPECT_EQ(run_json(go, "", with(""))["device"], "cpu");
  EXPECT_EQ(run_json(go + Arguments{"--device", "reference"})["precision"], "exact");
  EXPECT_EQ(run_json(go + Arguments{"--precision", "exact"})["precision"], "exact");
}

}  // namespace
}  // namespace bitaxon::test
