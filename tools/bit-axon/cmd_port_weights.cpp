// bit-axon port-weights: makes a Bit-Axon model from the weights of a Qwen2.5 model.
#include "bitaxon/porting.h"
#include "console.h"
#include "formats/json.h"
#include "options.h"
#include "platform/file.h"
#include "platform/paths.h"
#include "platform/printable.h"
#include "platform/signals.h"
#include "session.h"

namespace bitaxon::tool {
namespace {

constexpr std::uint64_t kMaxCorpusBytes = std::uint64_t{4} << 30;

struct PortCommand {
  std::string output, source, corpus, expert_noise;
  std::string seed = "42", dtype = "f16";
  bool config_small = false, config_medium = false, json = false;
  OutputOptions say;
};

PortOptions options_of(const PortCommand& wanted) {
  if (wanted.output.ends_with(".safetensors"))
    throw UsageError(fmt::format("OUTPUT: expected the name of a new folder, got \"{}\"",
                                 printable_path(wanted.output)));
  PortOptions options;
  options.spec = preset_spec(wanted.config_small    ? "small"
                             : wanted.config_medium ? "medium"
                                                    : "default");
  options.seed = parse_seed("--seed", wanted.seed);
  options.dtype = parse_float_type("--dtype", wanted.dtype);
  if (!wanted.expert_noise.empty())
    options.expert_noise = parse_number("--expert-noise", wanted.expert_noise, 0, 1000);
  if (!wanted.source.empty() || !wanted.config_small) {
    const ModelSource source = find_model_files(
        wanted.source.empty() ? kDefaultPortSource : expand_user(wanted.source), "--source");
    options.source = source.files.folder;
    options.base_model = source.repository;
  }
  if (!wanted.corpus.empty()) {
    options.corpus = read_whole_file(expand_user(wanted.corpus), kMaxCorpusBytes);
    if (options.corpus->empty())
      throw Error(ErrorKind::format, fmt::format("--corpus {}: expected a text, got an empty file",
                                                 printable_path(wanted.corpus)));
  }
  return options;
}

Json json_of(const PortedPart& part) {
  return {
      {"parameters", part.parameters}, {"from_source", part.from_source}, {"bytes", part.bytes}};
}

void print_report(const PortCommand& wanted, const Porting& porting, const PortReport& report) {
  if (wanted.json) {
    Json parts = Json::object();
    for (const auto& [name, part] : report.parts) parts[name] = json_of(part);
    const Json json = {{"output", printable_path(wanted.output)},
                       {"n_mapped_tokens", porting.ids().size()},
                       {"parts", std::move(parts)},
                       {"total", json_of(report.total)}};
    return print(json.dump(2) + "\n");
  }
  const auto row = [](const std::string& name, const PortedPart& part) {
    print(fmt::format("{:<14}{:>11}{:>13}{:>13}\n", name,
                      count_text(static_cast<double>(part.parameters)),
                      count_text(static_cast<double>(part.from_source)), bytes_text(part.bytes)));
  };
  print(fmt::format("{:<14}{:>11}{:>13}{:>13}\n", "part", "parameters", "from source", "bytes"));
  for (const auto& [name, part] : report.parts) row(name, part);
  row("total", report.total);
  print(fmt::format("{} tokens of the source's tokenizer\nmodel saved to {}\n",
                    porting.ids().size(), printable_path(wanted.output)));
}

int run_command(const PortCommand& wanted) {
  std::optional<Porting> porting;
  try {
    porting = Porting::plan(options_of(wanted));
  } catch (const Error& error) {
    // A source that does not fit the flags.
    if (error.kind() == ErrorKind::invalid_argument) throw UsageError(error.what());
    throw;
  }
  if (!wanted.say.quiet) {
    if (wanted.source.empty() && wanted.config_small)
      note("source: random weights (--source names a Qwen2.5 model)");
    for (const std::string& warning : porting->warnings()) note("warning: " + warning);
  }
  const std::atomic<bool>& interrupted = catch_interrupts();
  std::optional<PortReport> report;
  {
    ProgressLine progress("porting", !wanted.say.quiet);
    report = porting->write(
        expand_user(wanted.output),
        [&](std::uint64_t done, std::uint64_t total) { progress.update(done, total); },
        &interrupted);
  }
  if (!report) return kInterrupted;
  print_report(wanted, *porting, *report);
  return kDone;
}

}  // namespace

void add_port_weights(CommandLine& line) {
  auto wanted = std::make_shared<PortCommand>();
  Command& command = line.add_command(
      "port-weights", "Make a Bit-Axon model to train from the weights of a Qwen2.5 model");
  command.add("OUTPUT", wanted->output, "A new folder for the model").required().not_empty();
  command
      .add("--source", wanted->source,
           fmt::format("A folder with a Qwen2.5 model, or a hub id in the hub cache (default: {}; "
                       "with --config-small random weights)",
                       kDefaultPortSource))
      .type("MODEL")
      .not_empty();
  const Flag small = command.add("--config-small", wanted->config_small,
                                 "Make the small model, for tests; its source has width 128");
  command
      .add("--config-medium", wanted->config_medium,
           "Make the medium model; its source has width 1536, as Qwen/Qwen2.5-1.5B")
      .excludes(small);
  command
      .add("--corpus", wanted->corpus,
           "Keep the most frequent tokens of this text (default: the tokenizer's first tokens)")
      .type("FILE")
      .not_empty();
  command
      .add("--expert-noise", wanted->expert_noise,
           "Noise of the experts: a multiple of the standard deviation of the weights that they "
           "copy (default: noise of deviation 0.02, about as large as those weights)")
      .type("X")
      .not_empty();
  command.add("--seed", wanted->seed, "Seed of everything random").type("N").show_default();
  command.add("--dtype", wanted->dtype, "Type of the matrices: f32, f16 or bf16").show_default();
  command.add("--json", wanted->json, "Print one JSON object");
  add_output_options(command, wanted->say);
  command.runs([wanted] { return run_command(*wanted); });
}

}  // namespace bitaxon::tool
