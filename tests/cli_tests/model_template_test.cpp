// Tests of `run` and `chat` with a model that has a chat template and sampling parameters of its own.
#include <gtest/gtest.h>

#include "model_folder.h"
#include "program.h"
#include "support/temporary_folder.h"
#include "support/tensors.h"

namespace bitaxon::test {
namespace {

/// A template that keeps only the last word of earlier answers.
constexpr const char* kForgetful =
    "{% for m in messages %}{% if m.role == 'assistant' %}"
    "{{ '<|im_start|>A ' ~ (m.content.split() | last | default('')) ~ '<|im_end|>\\n' }}{% else %}"
    "{{ '<|im_start|>' ~ m.role ~ '\\n' ~ m.content ~ '<|im_end|>\\n' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>A ' }}{% endif %}";

class ModelTemplateCli : public testing::Test {
 protected:
  ModelTemplateCli() {
    copy_model(bundled_model_dir(), folder_ / "model");
    write_file(folder_ / "model" / "chat_template.jinja", kForgetful);
  }
  Arguments with_model(const Arguments& arguments) const {
    return arguments + Arguments{"-m",           (folder_ / "model").string(),
                                 "--device",     "cpu",
                                 "--precision",  "exact",
                                 "--max-tokens", "8",
                                 "--seed",       "4"};
  }

  TemporaryFolder folder_;
};

TEST_F(ModelTemplateCli, TakesAPromptAsAMessage) {
  const Finished answered = run_well(with_model({"run", "Who?"}));
  EXPECT_NE(answered.err.find("the prompt is a message of a chat"), std::string::npos)
      << answered.err;
  const std::string text = "<|im_start|>user\nWho?<|im_end|>\n<|im_start|>A ";
  const auto plain = with_model({"run", "--quiet", "--chat-template", "none", text});
  EXPECT_EQ(answered.out, run_well(plain).out);
  write_file(folder_ / "m.json", R"([{"role": "user", "content": "Who?"}])");
  EXPECT_EQ(run_well(with_model({"run", "--messages", (folder_ / "m.json").string()})).out,
            answered.out);
}

TEST_F(ModelTemplateCli, RendersTheWholeConversationForEachAnswer) {
  const Arguments chat = with_model({"chat", "--quiet"});
  const std::string first = run_well(chat, "Who?\n").out;
  std::string word = first.substr(0, first.size() - 1);
  const std::size_t end = word.find_last_not_of(" \n");
  word = end == word.npos ? "" : word.substr(0, end + 1);
  word = word.substr(word.find_last_of(" \n") + 1);
  const std::string text = "<|im_start|>user\nWho?<|im_end|>\n<|im_start|>A " + word +
                           "<|im_end|>\n<|im_start|>user\nWhen?<|im_end|>\n<|im_start|>A ";
  const auto plain = with_model({"run", "--quiet", "--chat-template", "none", text});
  EXPECT_EQ(run_well(chat, "Who?\nWhen?\n").out, first + run_well(plain).out);
}

TEST_F(ModelTemplateCli, BeginsNoSecondConversationInALoadedState) {
  write_file(
      folder_ / "model" / "chat_template.jinja",
      "{% if messages[0].role != 'system' %}<|im_start|>system\nBe kind.<|im_end|>\n{% endif %}"
      "{% for m in messages %}<|im_start|>{{ m.role ~ '\\n' ~ m.content }}<|im_end|>\n"
      "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}");
  const Arguments load = {"--load-state", (folder_ / "s").string()};
  run_well(with_model({"run", "Who?", "--save-state", (folder_ / "s").string()}));
  const auto expect = [&](const Arguments& arguments, const std::string& text) {
    const std::size_t n_ids =
        run_json({"tokenize", "--quiet", "-m", (folder_ / "model").string(), text}).size();
    EXPECT_EQ(
        run_json(with_model({"run", "--quiet", "--json"}) + load + arguments)["prompt_tokens"],
        n_ids)
        << text;
  };
  const std::string asked = "<|im_start|>user\nbit-axon-answer<|im_end|>\n<|im_start|>assistant\n";
  expect({"bit-axon-answer"}, "<|im_end|>\n" + asked);
  expect({"bit-axon-answer", "--system", "Be brief."},
         "<|im_end|>\n<|im_start|>system\nBe brief.<|im_end|>\n" + asked);
  // A chat goes on like run.
  const Finished chat = run_well(with_model({"chat", "--quiet"}) + load, "Why?\n");
  EXPECT_EQ(chat.out, run_well(with_model({"run", "--quiet", "Why?"}) + load).out);
}

TEST_F(ModelTemplateCli, SaysThatThinkingHasNoEffect) {
  const std::string file = (folder_ / "model" / "chat_template.jinja").string();
  const std::string none = " has no effect: ", not_used = " does not use enable_thinking\n";
  const auto err = [&](const Arguments& more) {
    return run_well(with_model({"run", "Who?", "--thinking", "off"}) + more).err;
  };
  EXPECT_NE(err({}).find("--thinking" + none + file + not_used), std::string::npos) << err({});
  EXPECT_NE(err({"--chat-template", "chatml"}).find("ChatML" + not_used), std::string::npos);
  EXPECT_EQ(err({"--quiet"}), "");
  EXPECT_NE(run_well(with_model({"chat", "--chat-template", "none", "--thinking", "on"}), "a\n")
                .err.find("plain text" + not_used),
            std::string::npos);
  write_file(file, "{{ 'no' if not enable_thinking }}{{ messages[0].content }}");
  EXPECT_EQ(err({}).find("no effect"), std::string::npos) << err({});
  std::filesystem::remove(file);
  const Finished refused = run(with_model({"run", "Who?", "--thinking", "off"}));
  EXPECT_EQ(refused.status, 2);
  EXPECT_NE(refused.err.find("--thinking: expected with a chat template, --chat or --messages, got "
                             "none of them"),
            std::string::npos)
      << refused.err;
}

TEST_F(ModelTemplateCli, RefusesMessagesByTheNameOfTheirFile) {
  write_file(folder_ / "m.json", "[{}, 1]");
  const std::string file = (folder_ / "m.json").string();
  EXPECT_EQ(run(with_model({"run", "--messages", file})).err,
            "bit-axon: " + file + ": message 1: expected an object, got 1\n");
  write_file(folder_ / "model" / "chat_template.jinja", "{# nothing #}");
  EXPECT_EQ(run(with_model({"run", "--quiet", "Who?"})).err,
            "bit-axon: " + (folder_ / "model" / "chat_template.jinja").string() +
                ": expected a text for the messages, got none\n");
}

TEST_F(ModelTemplateCli, EndsNoChatWhenTheTemplateRefuses) {
  write_file(folder_ / "model" / "chat_template.jinja",
             "{% if 'no' in messages[-1].content %}{{ raise_exception('not that') }}{% endif %}"
             "{{ messages | length }}");
  const Finished finished = run_well(with_model({"chat", "--quiet"}), "yes\nno\nyes\n");
  EXPECT_EQ(finished.err, "bit-axon: not that\n");
  EXPECT_EQ(run(with_model({"run", "--quiet", "no"})).status, 1);
}

TEST_F(ModelTemplateCli, TakesSamplingFromTheModel) {
  write_file(folder_ / "model" / "generation_config.json",
             R"({"do_sample": true, "temperature": 0.9, "top_k": 3, "eos_token_id": 1023})");
  const Finished finished = run_well(with_model({"run", "Who?"}));
  EXPECT_NE(finished.err.find("sampling from generation_config.json: temperature 0.9, top-k 3"),
            std::string::npos)
      << finished.err;
  const auto flags = with_model({"run", "Who?", "--temperature", "0.9", "--top-k", "3"});
  EXPECT_EQ(run_well(flags).out, finished.out);
  EXPECT_EQ(run_well(flags).err.find("generation_config"), std::string::npos);
}

TEST_F(ModelTemplateCli, TakesGreedyDecodingFromTheModel) {
  write_file(folder_ / "model" / "generation_config.json",
             R"({"do_sample": false, "temperature": 0.6, "top_k": 3, "repetition_penalty": 1.5})");
  const Finished finished = run_well(with_model({"run", "Who?"}));
  EXPECT_NE(finished.err.find("generation_config.json: no sampling, repetition-penalty 1.5\n"),
            std::string::npos)
      << finished.err;
  EXPECT_EQ(
      finished.out,
      run_well(with_model({"run", "Who?", "--temperature", "0", "--repetition-penalty", "1.5"}))
          .out);
}

TEST_F(ModelTemplateCli, RefusesBrokenSamplingBeforeItLoadsTheModel) {
  std::filesystem::resize_file(folder_ / "model" / "model.safetensors", 100);
  const std::filesystem::path file = folder_ / "model" / "generation_config.json";
  for (const auto& [json, expected] :
       {std::pair<const char*, const char*>{R"({"top_p": 7})",
                                            "top_p: expected a number from 0 to 1, got 7"},
        {R"({"top_k": 0.5})", "top_k: expected a whole number from 0 to 1000000000, got 0.5"},
        {R"({"top_k": "5"})", "top_k: expected a whole number from 0 to 1000000000, got \"5\""},
        {R"({"do_sample": "x"})", "do_sample: expected true or false, got \"x\""},
        {R"({"eos_token_id": [1, "x"]})",
         "eos_token_id: expected a token id or a list of them, got [1,\"x\"]"}}) {
    write_file(file, json);
    const Finished refused = run(with_model({"run", "Who?"}));
    EXPECT_EQ(refused.status, 1);
    EXPECT_EQ(refused.err, "bit-axon: " + file.string() + ": " + expected + "\n");
  }
}

}  // namespace
}  // namespace bitaxon::test
