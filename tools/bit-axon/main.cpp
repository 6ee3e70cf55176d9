// bit-axon: the program. Parses the command line; each command has a file of its own.
#include <exception>
#include <new>

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

/// Reports an invalid command line. The message may span several lines, but the user gets one line.
int report_usage(const std::string& message) {
  note(printable(message, 4096) + " (--help lists commands and flags)");
  return kUsage;
}

int run_program(int argc, char** argv) {
  CommandLine line("bit-axon", "Runs Bit-Axon language models on any GPU and on the CPU.",
                   version_text());
  for (const auto add : {add_run,      add_chat,         add_logits,   add_compare,   add_template,
                         add_tokenize, add_detokenize,   add_inspect,  add_devices,   add_doctor,
                         add_download, add_upload,       add_quantize, add_merge,     add_train,
                         add_pipeline, add_port_weights, add_evaluate, add_benchmark, add_prepare})
    add(line);
  return line.parse(argc, argv)();
}

}  // namespace
}  // namespace bitaxon::tool

/// The limit for a message. It is high because some messages name every tensor that does not fit.
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
