// bit-axon tokenize: prints the ids of a text.
#include "console.h"
#include "id_list.h"
#include "platform/file.h"
#include "platform/printable.h"
#include "platform/standard_streams.h"
#include "prompt.h"
#include "session.h"

namespace bitaxon::tool {
namespace {

struct TokenizeOptions {
  ModelOptions model;
  OutputOptions output;
  std::string text, file;
};

}  // namespace

Command add_tokenize(CLI::App& program) {
  auto wanted = std::make_shared<TokenizeOptions>();
  CLI::App& app = *program.add_subcommand("tokenize", "Print the token ids of a text");
  add_model_options(app, wanted->model);
  add_output_options(app, wanted->output);
  auto* text = app.add_option("TEXT", wanted->text, "The text (default: stdin, all bytes)");
  auto* file = app.add_option("--file", wanted->file, "A file, all bytes")->type_name("FILE");
  text->excludes(file);
  return [wanted, text, file] {
    const Vocabulary vocabulary = open_vocabulary(wanted->model, wanted->output);
    std::string input = wanted->text;
    if (file->count() > 0)
      input = read_whole_file(wanted->file, kMaxTextBytes);
    else if (text->count() == 0)
      input = read_standard_input(kMaxTextBytes);
    check_utf8(file->count() > 0 ? printable_path(wanted->file) : "text", input, vocabulary);
    print(ids_text(vocabulary.encode(input)) + "\n");
    return static_cast<int>(kDone);
  };
}

}  // namespace bitaxon::tool
