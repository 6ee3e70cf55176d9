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
  bool no_special = false, special_as_text = false;
};

}  // namespace

void add_tokenize(CommandLine& line) {
  auto wanted = std::make_shared<TokenizeOptions>();
  Command& command = line.add_command("tokenize", "Print the token ids of a text");
  add_model_options(command, wanted->model);
  add_output_options(command, wanted->output);
  Flag text = command.add("TEXT", wanted->text, "The text (default: stdin, all bytes)");
  const Flag file = command.add("--file", wanted->file, "A file, all bytes").type("FILE");
  text.excludes(file);
  command.add("--no-special", wanted->no_special,
              "Leave out the tokens that the tokenizer puts around a text");
  command.add("--special-as-text", wanted->special_as_text,
              "Read special tokens in the text as plain text");
  command.runs([wanted, text, file] {
    const Vocabulary vocabulary = open_vocabulary(wanted->model, wanted->output);
    std::string input = wanted->text;
    if (file.is_given())
      input = read_whole_file(wanted->file, kMaxTextBytes);
    else if (!text.is_given())
      input = read_standard_input(kMaxTextBytes);
    vocabulary.check_utf8(file.is_given() ? printable_path(wanted->file) : "text", input);
    const EncodeOptions options{.add_special = !wanted->no_special,
                                .special_as_text = wanted->special_as_text};
    print(ids_text(vocabulary.encode(input, options)) + "\n");
    return static_cast<int>(kDone);
  });
}

}  // namespace bitaxon::tool
