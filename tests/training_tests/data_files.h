// Data sets of the bundled model's tokenizer, made from lines of text.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "support/source_tree.h"
#include "support/temporary_folder.h"
#include "training/data/dataset.h"

namespace bitaxon::test {

inline Vocabulary bundled_vocabulary() {
  return {Tokenizer::load(bundled_model_dir() / "tokenizer.json"), "", 1024};
}

/// A folder with files of training data.
class DataFolder {
 public:
  /// Writes a file and opens it.
  Dataset open(std::string_view content, const DataOptions& options = {},
               const JinjaTemplate& chat_template = JinjaTemplate::chatml(),
               const Vocabulary& vocabulary = bundled_vocabulary(),
               std::string_view name = "train.jsonl") const {
    const std::vector<std::string> paths = {folder_.write(name, content).string()};
    return Dataset::open(paths, vocabulary, chat_template, options);
  }
  const TemporaryFolder& folder() const { return folder_; }

 private:
  TemporaryFolder folder_;
};

/// A line with a question and an answer.
inline std::string chat_line(std::string_view question, std::string_view answer) {
  return std::string(R"({"messages": [{"role": "user", "content": ")")
      .append(question)
      .append(R"("}, {"role": "assistant", "content": ")")
      .append(answer)
      .append("\"}]}\n");
}

/// The texts between targets and other tokens: runs of targets as "{+...+}".
inline std::string marked(const MaskedTokens& tokens, const Vocabulary& vocabulary) {
  std::string text;
  for (std::size_t i = 0; i < tokens.ids.size(); ++i) {
    const bool is_target = tokens.is_target[i];
    if (is_target && (i == 0 || !tokens.is_target[i - 1])) text += "{+";
    text += vocabulary.decode({&tokens.ids[i], 1});
    if (is_target && (i + 1 == tokens.ids.size() || !tokens.is_target[i + 1])) text += "+}";
  }
  return text;
}

}  // namespace bitaxon::test
