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
  write_file(folder_ / "model" / "generation_config.json", R"({"top_p": 7})");
  EXPECT_NE(run(with_model({"run", "Who?"})).err.find("top_p: expected a number from 0 to 1"),
            std::string::npos);
}

}  // namespace
}  // namespace bitaxon::test
