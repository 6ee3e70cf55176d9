// Renders every recorded case and compares it with the text of the original program.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "bitaxon/chat_template.h"
#include "platform/file.h"
#include "support/source_tree.h"
#include "support/temporary_folder.h"
#include "template/json_values.h"

namespace bitaxon::test {
namespace {

using jinja::Kind;
using jinja::Value;

/// A mapping of the recorded file.
class Record {
 public:
  explicit Record(Value value) : value_(std::move(value)) {}

  const Value* find(std::string_view key) const { return value_.as_mapping().find(key); }
  bool has(std::string_view key) const { return find(key) && !find(key)->is_none(); }
  std::string text(std::string_view key) const { return find(key)->as_text().bytes(); }
  std::int64_t integer(std::string_view key) const { return *find(key)->as_integer().small(); }
  bool flag(std::string_view key) const { return find(key) && jinja::truth(*find(key)); }
  /// The value as JSON. Empty if the key is missing. Integers beyond 64 bits stay as they are.
  std::string json(std::string_view key) const { return has(key) ? json_of(*find(key)) : ""; }
  static std::string json_of(const Value& value) { return jinja::write_json(value, {})->bytes(); }

 private:
  Value value_;
};

std::vector<std::string> recorded_files() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(golden_dir() / "templates"))
    names.push_back(entry.path().stem().string());
  std::sort(names.begin(), names.end());
  return names;
}

std::tm time_of(const std::string& text) {
  std::tm time{};
  if (!strptime(text.c_str(), "%Y-%m-%d %H:%M:%S", &time)) ADD_FAILURE() << "no time: " << text;
  return time;
}

/// What the template of one case makes of its conversation.
class Rendering {
 public:
  Rendering(const Record& file, const Record& one) : file_(file), case_(one) {}

  /// Compares with the recorded text or error.
  void check() const {
    std::string text;
    try {
      text = render();
    } catch (const ChatTemplateRefusal& refusal) {
      ASSERT_TRUE(case_.has("error")) << refusal.what();
      EXPECT_TRUE(case_.flag("raised")) << refusal.what();
      EXPECT_EQ(refusal.what(), case_.text("error"));
      return;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::format);
      ASSERT_TRUE(case_.has("error")) << error.what();
      EXPECT_FALSE(case_.flag("raised")) << error.what();
      EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
      return;
    }
    ASSERT_FALSE(case_.has("error")) << case_.text("error") << "\ngot: " << text;
    if (!case_.has("text_length")) {
      EXPECT_EQ(text, case_.text("text"));
      return;
    }
    EXPECT_EQ(jinja::make_text(text)->length(), case_.integer("text_length"));
    EXPECT_TRUE(text.starts_with(case_.text("text")));
  }

 private:
  const Record& of(std::string_view key) const { return case_.find(key) ? case_ : file_; }

  JinjaTemplate chat_template() const {
    if (!case_.has("chat_template")) return JinjaTemplate::parse(of("template").text("template"));
    const TemporaryFolder folder;
    return JinjaTemplate::load(folder.write(
        "tokenizer_config.json", "{\"chat_template\": " + case_.json("chat_template") + "}"));
  }

  std::string render() const {
    const auto token = [&](std::string_view key) {
      return file_.has(key) ? std::optional(file_.text(key)) : std::nullopt;
    };
    const JinjaTemplate rendered =
        chat_template().with_tokens(token("bos_token"), token("eos_token"));
    const std::string messages = of("messages").json("messages"), tools = case_.json("tools"),
                      documents = case_.json("documents");
    ChatTemplateInput input;
    input.messages = messages;
    input.tools = tools;
    input.documents = documents;
    input.add_generation_prompt = of("add_generation_prompt").flag("add_generation_prompt");
    input.now = time_of(file_.text("now"));
    if (case_.has("asked_for")) input.name = case_.text("asked_for");
    if (const Record& with = of("variables"); with.has("variables"))
      for (const auto& [key, value] : with.find("variables")->as_mapping().entries)
        input.variables.emplace_back(key.as_text().bytes(), Record::json_of(value));
    return rendered.render(input).text;
  }

  const Record& file_;
  const Record& case_;
};

class RecordedTemplates : public testing::TestWithParam<std::string> {};

TEST_P(RecordedTemplates, RenderAsTheOriginal) {
  const auto path = golden_dir() / "templates" / (GetParam() + ".json");
  const Record file(jinja::read_json(read_whole_file(path, 1 << 24), GetParam(), false));
  int number = 0;
  for (const Value& one : file.find("cases")->as_sequence().items) {
    const Record record(one);
    SCOPED_TRACE(GetParam() + ", case " + std::to_string(number++) +
                 (record.has("template") ? ": " + record.text("template").substr(0, 200) : ""));
    Rendering(file, record).check();
  }
  EXPECT_GT(number, 0);
}

INSTANTIATE_TEST_SUITE_P(All, RecordedTemplates, testing::ValuesIn(recorded_files()),
                         [](const auto& one) { return one.param; });

}  // namespace
}  // namespace bitaxon::test
