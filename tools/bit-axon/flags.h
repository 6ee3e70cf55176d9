// The command line: commands, their flags and positional arguments, and parsing.
//
// flags.cpp is the only file that includes CLI11: its headers double the time to compile a file.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace bitaxon::tool {

/// A flag or a positional argument. The functions that change a Flag return the same Flag.
class Flag {
 public:
  explicit Flag(CLI::Option* option) : option_(option) {}

  /// The name of the value in --help.
  Flag& type(const std::string& name);
  /// --help shows the present value of the variable as the default.
  Flag& show_default();
  /// --help shows this text as the default.
  Flag& show_default(const std::string& text);
  Flag& required();
  /// Refuses an empty value, because an unset shell variable must not silently select the default.
  Flag& not_empty();
  /// An environment variable that provides the value when the command line does not.
  Flag& environment(const std::string& variable);
  Flag& excludes(const Flag& other);
  /// Makes a flag with a list of values take one value each time the flag is given.
  Flag& one_value_each();

  /// The value may be left out.
  Flag& optional_value();

  bool is_given() const;

 private:
  CLI::Option* option_;
};

/// What a command does. Returns the exit status.
using Action = std::function<int()>;

/// A command of the program. The variables of its flags must live until the command has run.
class Command {
 public:
  explicit Command(CLI::App* app) : app_(app) {}

  /// Adds a flag with a value, or a positional argument if `names` has no dash.
  Flag add(const std::string& names, std::string& value, const std::string& help);
  /// Adds a flag or a positional argument with a list of values.
  Flag add(const std::string& names, std::vector<std::string>& values, const std::string& help);
  /// Adds a flag without a value.
  Flag add(const std::string& names, bool& value, const std::string& help);
  /// Makes the word `other` mean the flag `flag`, for words that the parser would read otherwise,
  /// such as "-lr".
  void spell(const std::string& other, const std::string& flag);
  /// Sets what the command does.
  void runs(Action action);

 private:
  friend class CommandLine;
  CLI::App* app_;
  Action action_;
  std::map<std::string, std::string> spellings_;
};

/// The commands of the program. The program and each command also have --help and --version.
class CommandLine {
 public:
  CommandLine(const std::string& program, const std::string& description, std::string version);
  ~CommandLine();
  CommandLine(const CommandLine&) = delete;
  CommandLine& operator=(const CommandLine&) = delete;

  Command& add_command(const std::string& name, const std::string& description);
  /// Returns the action of the command that the words name, or an action that prints the text that
  /// --help or --version asks for. Throws UsageError.
  Action parse(int argc, const char* const* argv);

 private:
  /// The words of the command line, with the spellings of the command replaced.
  std::vector<std::string> spelled(int argc, const char* const* argv) const;

  std::string version_;
  std::unique_ptr<CLI::App> program_;
  std::deque<Command> commands_;  // a deque, because add_command returns references
};

}  // namespace bitaxon::tool
