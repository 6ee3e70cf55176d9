// bit-axon detokenize: prints the text of ids.
#include <sstream>

#include "console.h"
#include "id_list.h"
#include "session.h"

namespace bitaxon::tool {
namespace {

struct DetokenizeOptions {
  ModelOptions model;
  OutputOptions output;
  std::vector<std::string> ids;
  std::string file;
  bool skip_special = false;
};

/// Adds the ids of one argument, which are separated by commas or by spaces.
void append_ids(const std::string& argument, std::vector<std::int32_t>& all) {
  std::vector<std::string> lists;
  if (argument.find_first_of(",[") != std::string::npos || argument.empty()) {
    lists.push_back(argument);
  } else {
    std::istringstream words(argument);
    for (std::string word; words >> word;) lists.push_back(word);
  }
  for (const std::string& list : lists)
    for (std::int32_t id : parse_ids("IDS", list)) all.push_back(id);
}

}  // namespace

void add_detokenize(CommandLine& line) {
  auto wanted = std::make_shared<DetokenizeOptions>();
  Command& command = line.add_command("detokenize", "Print the text of token ids");
  add_model_options(command, wanted->model);
  add_output_options(command, wanted->output);
  Flag ids = command.add("IDS", wanted->ids, "Token ids, separated by spaces or commas");
  const Flag file = command.add("--file", wanted->file, "A JSON list of token ids").type("FILE");
  ids.excludes(file);
  command.add("--skip-special", wanted->skip_special, "Leave out special tokens");
  command.runs([wanted, file] {
    std::vector<std::int32_t> all;
    if (file.is_given()) {
      all = read_ids_file(wanted->file);
    } else {
      if (wanted->ids.empty())
        throw UsageError("IDS: expected at least one token id, or --file, got neither");
      for (const std::string& part : wanted->ids) append_ids(part, all);
      if (all.empty()) throw UsageError("IDS: expected at least one token id, got none");
    }
    const Vocabulary vocabulary = open_vocabulary(wanted->model, wanted->output);
    print(vocabulary.decode(all, wanted->skip_special) + "\n");
    return static_cast<int>(kDone);
  });
}

}  // namespace bitaxon::tool
