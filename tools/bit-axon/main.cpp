// bit-axon: the program. Parses the command line; each command has a file of its own.
#include <CLI/CLI.hpp>
#include <exception>
#include <new>
#include <sstream>

#include "bitaxon/devices.h"
#include "bitaxon/error.h"
#include "console.h"
#include "memory_report.h"
#include "options.h"
#include "platform/build_info.h"
#include "platform/printable.h"
#include "platform/signals.h"
#include "platform/standard_streams.h"

namespace bitaxon::tool {
namespace {

std::string version_text() {
  const BuildInfo& build = build_info();
  return fmt::format("bit-axon {}\ncommit:   {}\nbackends: {}\nbuild:    {}, {}", build.version,
                     build.commit, fmt::join(built_backends(), " "), build.build_type,
                     build.compiler);
}

/// No flag has a blank in its name, so such a word was meant as a prompt.
bool is_text_with_dash(const std::string& word) {
  return word.starts_with('-') && word.find(' ') != word.npos;
}

/// A message that names the first word that the program does not know; empty when it knows all.
std::string unknown_word(const CLI::App& program) {
  const std::vector<std::string> words = program.remaining(true);
  if (words.empty()) return {};
  if (program.get_subcommands().empty())
    return fmt::format("expected a command, got \"{}\"", printable(words.front()));
  return CLI::ExtrasError({words.front()}).what() +
         std::string(
             is_text_with_dash(words.front()) ? "; -- comes before a text that begins with -" : "");
}

/// CLI11's messages may span several lines; the user gets one line.
int report_usage(const std::string& message) {
  note(printable(message, 4096) + " (--help lists commands and flags)");
  return kUsage;
}

int run_program(int argc, char** argv) {
  CLI::App program("Runs Bit-Axon language models on any GPU and on the CPU.", "bit-axon");
  program.set_version_flag("-V,--version", version_text(), "Version, commit, backends, build type");
  program.require_subcommand(1);
  program.fallthrough(false);
  program.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::Throw);
  Command chosen;
  for (const auto add :
       {add_run, add_chat, add_logits, add_compare, add_tokenize, add_detokenize, add_inspect,
        add_devices, add_download, add_quantize, add_merge, add_evaluate, add_benchmark}) {
    const std::size_t before = program.get_subcommands({}).size();
    Command command = add(program);
    CLI::App* app = program.get_subcommands({})[before];
    app->set_version_flag("-V,--version", version_text(), "Version, commit, backends, build type");
    app->callback([&chosen, command = std::move(command)] { chosen = command; });
  }
  try {
    program.parse(argc, argv);
  } catch (const CLI::Success& wanted) {  // --help, --version
    // CLI11 prints help before it looks at unknown words. A script with a mistyped command must see
    // an error, even if it asks for help.
    if (const std::string problem = unknown_word(program); !problem.empty())
      return report_usage(problem);
    std::ostringstream text;
    program.exit(wanted, text, text);
    print(text.str());
    flush();
    return kDone;
  } catch (const CLI::ParseError& error) {
    // "A subcommand is required" does not name the unknown command.
    const bool is_about_a_word = program.get_subcommands().empty() ||
                                 dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr;
    if (const std::string problem = unknown_word(program); is_about_a_word && !problem.empty())
      return report_usage(problem);
    return report_usage(error.what());
  }
  return chosen();
}

}  // namespace
}  // namespace bitaxon::tool

/// Some messages name every tensor that does not fit.
constexpr std::size_t kMaxMessageBytes = std::size_t{1} << 16;

int main(int argc, char** argv) {
  using namespace bitaxon::tool;
  bitaxon::keep_standard_descriptors();
  bitaxon::ignore_signals_of_writes();
  bitaxon::exit_on_interrupt();
  try {
    const int status = run_program(argc, argv);
    flush();
    return status;
  } catch (const UsageError& error) {
    return report_usage(error.what());
  } catch (const bitaxon::OutOfMemory& error) {
    bitaxon::write_standard_error(table_of(error.need()));
    note(bitaxon::printable(error.what(), 4096));
  } catch (const std::bad_alloc&) {
    note("not enough memory");
  } catch (const std::exception& error) {
    note(bitaxon::printable(error.what(), kMaxMessageBytes));
  }
  return kFailed;
}
