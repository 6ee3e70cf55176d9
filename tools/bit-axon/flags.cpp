#include "flags.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <sstream>
#include <utility>

#include "console.h"
#include "platform/printable.h"

namespace bitaxon::tool {
namespace {

/// Whether a word that begins with a dash was meant as a prompt: it contains a blank, which no flag
/// does.
bool is_text_with_dash(const std::string& word) {
  return word.starts_with('-') && word.find(' ') != word.npos;
}

/// Returns a message that names the first unknown word of the command line. Empty if the program
/// knows every word.
std::string unknown_word(const CLI::App& program) {
  const std::vector<std::string> words = program.remaining(true);
  if (words.empty()) return {};
  if (program.get_subcommands().empty())
    return fmt::format("expected a command, got \"{}\"", printable(words.front()));
  return CLI::ExtrasError({words.front()}).what() +
         std::string(
             is_text_with_dash(words.front()) ? "; -- comes before a text that begins with -" : "");
}

/// Returns a message about a flag without its value, or about the first flag that is given more often
/// than it may be.
std::string wrong_count(const CLI::App& program, const CLI::ArgumentMismatch& error) {
  for (const CLI::App* command : program.get_subcommands())
    for (const CLI::Option* option : command->get_options()) {
      const auto most = static_cast<std::size_t>(std::max(option->get_items_expected_max(), 1));
      if (option->count() > most)
        return fmt::format("{}: expected once, got {} times", option->get_name(), option->count());
      const std::string begin = option->get_name() + ": ", what = error.what();
      if (what.starts_with(begin) && what.ends_with(" missing"))
        return fmt::format("{}expected {}, got none", begin, option->get_type_name());
    }
  return error.what();
}

void add_version_flag(CLI::App& app, const std::string& version) {
  app.set_version_flag("-V,--version", version, "Version, commit, backends, build type");
}

Action printing(std::string text) {
  return [text = std::move(text)] {
    print(text);
    return static_cast<int>(kDone);
  };
}

}  // namespace

Flag& Flag::type(const std::string& name) {
  option_->type_name(name);
  return *this;
}

Flag& Flag::show_default() {
  option_->capture_default_str();
  return *this;
}

Flag& Flag::show_default(const std::string& text) {
  option_->default_str(text);
  return *this;
}

Flag& Flag::required() {
  option_->required();
  return *this;
}

Flag& Flag::not_empty() {
  option_->check(CLI::Validator(
      [](const std::string& text) {
        return text.empty() ? "expected a text, got an empty one" : "";
      },
      ""));
  return *this;
}

Flag& Flag::environment(const std::string& variable) {
  option_->envname(variable);
  return *this;
}

Flag& Flag::excludes(const Flag& other) {
  option_->excludes(other.option_);
  return *this;
}

Flag& Flag::one_value_each() {
  option_->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)->allow_extra_args(false);
  return *this;
}

Flag& Flag::optional_value() {
  option_->expected(0, 1);
  return *this;
}

bool Flag::is_given() const { return option_->count() > 0; }

Flag Command::add(const std::string& names, std::string& value, const std::string& help) {
  return Flag(app_->add_option(names, value, help));
}

Flag Command::add(const std::string& names, std::vector<std::string>& values,
                  const std::string& help) {
  return Flag(app_->add_option(names, values, help));
}

Flag Command::add(const std::string& names, bool& value, const std::string& help) {
  return Flag(app_->add_flag(names, value, help));
}

void Command::spell(const std::string& other, const std::string& flag) { spellings_[other] = flag; }

void Command::runs(Action action) { action_ = std::move(action); }

CommandLine::CommandLine(const std::string& program, const std::string& description,
                         std::string version)
    : version_(std::move(version)), program_(std::make_unique<CLI::App>(description, program)) {
  add_version_flag(*program_, version_);
  program_->require_subcommand(1);
  program_->fallthrough(false);
  program_->option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::Throw);
}

CommandLine::~CommandLine() = default;

Command& CommandLine::add_command(const std::string& name, const std::string& description) {
  return commands_.emplace_back(program_->add_subcommand(name, description));
}

std::vector<std::string> CommandLine::spelled(int argc, const char* const* argv) const {
  std::vector<std::string> words(argv, argv + argc);
  if (words.size() < 2) return words;
  for (const Command& command : commands_) {
    if (command.app_->get_name() != words[1]) continue;
    for (std::string& word : words) {
      const std::size_t end = std::min(word.find('='), word.size());
      const auto found = command.spellings_.find(word.substr(0, end));
      if (found != command.spellings_.end()) word = found->second + word.substr(end);
    }
  }
  return words;
}

Action CommandLine::parse(int argc, const char* const* argv) {
  // --help lists flags in the order in which they were added.
  for (const Command& command : commands_) add_version_flag(*command.app_, version_);
  try {
    const std::vector<std::string> words = spelled(argc, argv);
    std::vector<const char*> pointers;
    for (const std::string& word : words) pointers.push_back(word.c_str());
    program_->parse(argc, pointers.data());
  } catch (const CLI::Success& wanted) {  // --help, --version
    // CLI11 prints help before it looks at unknown words. A script with a mistyped command must see
    // an error, even if it asks for help.
    if (const std::string problem = unknown_word(*program_); !problem.empty())
      throw UsageError(problem);
    std::ostringstream text;
    program_->exit(wanted, text, text);
    return printing(text.str());
  } catch (const CLI::ParseError& error) {
    // CLI11's message "A subcommand is required" does not name the unknown command.
    const bool is_about_a_word = program_->get_subcommands().empty() ||
                                 dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr;
    if (const std::string problem = unknown_word(*program_); is_about_a_word && !problem.empty())
      throw UsageError(problem);
    if (const auto* mismatch = dynamic_cast<const CLI::ArgumentMismatch*>(&error))
      throw UsageError(wrong_count(*program_, *mismatch));
    throw UsageError(error.what());
  }
  // The program requires a command, so one of the commands was parsed.
  return std::ranges::find_if(commands_,
                              [](const Command& command) { return command.app_->parsed(); })
      ->action_;
}

}  // namespace bitaxon::tool
