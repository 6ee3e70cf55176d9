#include "session.h"

#include "bitaxon/error.h"
#include "console.h"
#include "platform/file.h"
#include "platform/printable.h"
#include "platform/signals.h"

namespace bitaxon::tool {
namespace {

std::string preset_of(const ModelOptions& options) {
  std::string preset = named_preset(options);
  return preset.empty() && options.random_by_default ? "default" : preset;
}

ModelRequest request_of(const ModelOptions& options) {
  if (!options.quantize.empty() && options.quantize != "nf4" && options.quantize != "mlx")
    throw UsageError(
        fmt::format("--quantize: expected nf4 or mlx, got \"{}\"", printable(options.quantize)));
  return {.model = options.model,
          .tokenizer = options.tokenizer,
          .preset = preset_of(options),
          .quantize = options.quantize,
          .random_codes = options.random_codes,
          .chat_template = options.chat_template,
          .use = options.use,
          .model_argument = options.flag,
          .tokenizer_argument = "--tokenizer"};
}

void note_all(const std::vector<std::string>& lines, const OutputOptions& output) {
  if (output.quiet) return;
  for (const std::string& line : lines) note(line);
}

/// Says how the model of a request was found. `note_of_default` is empty for a named model.
void note_source(const std::string& note_of_default, const ModelOptions& options,
                 const OutputOptions& output) {
  if (output.quiet) return;
  if (!note_of_default.empty()) note(note_of_default);
  if (options.config_small || options.config_medium)
    note(fmt::format("{} is ignored: the model's own config.json is used",
                     options.config_small ? "--config-small" : "--config-medium"));
}

void find_tokenizer(FoundModel& found, const OutputOptions& output) {
  read_tokenizer(found);
  if (found.tokenizer && !found.tokenizer->note().empty())
    note_all({found.tokenizer->note()}, output);
}

FoundModel find(const ModelOptions& options, const OutputOptions& output) {
  FoundModel found = find_model(request_of(options));
  if (found.source) note_source(found.source->note, options, output);
  find_tokenizer(found, output);
  return found;
}

/// The --context of the options. Throws UsageError if the model does not allow it.
std::int64_t parse_context(const ModelOptions& options, const FoundModel& found) {
  std::vector<std::string> said_when_loading;
  const ModelSpec spec =
      found.source ? load_spec(found.source->files, said_when_loading) : found.preset;
  return parse_integer("--context", options.context, 1, spec.max_seq_len);
}

/// Sets the adapter of `load`. Throws UsageError for an adapter of random weights.
void take_adapter(const ModelOptions& options, const FoundModel& found, LoadOptions& load) {
  if (!options.lora_scale.empty()) {
    if (options.adapter.empty()) throw UsageError("--lora-scale: expected --adapter beside it");
    load.adapter_scale =
        parse_number("--lora-scale", options.lora_scale, 0, std::numeric_limits<float>::max());
  }
  if (options.adapter.empty()) return;
  if (!found.source)
    throw UsageError("--adapter: expected a model with files, got a preset with random weights");
  load.adapter = options.adapter;
}

Session load_on(const OpenedDevice& opened, const DeviceOptions& device, const FoundModel& found,
                const OutputOptions& output, LoadOptions load) {
  if (!opened.reason.empty() || output.verbose) note_all({device_note(opened)}, output);
  load.precision = device.wanted_precision();
  ProgressLine progress("loading", !output.quiet);
  load.on_progress = [&](std::uint64_t done, std::uint64_t total) { progress.update(done, total); };
  try {
    Session session = load_session(found, opened, load);
    note_all(session.notes, output);
    return session;
  } catch (const Error& error) {
    // A factor that the adapter does not have.
    if (std::string_view(error.what()).starts_with("lora-scale: "))
      throw UsageError(fmt::format("--{}", error.what()));
    throw;
  }
}

}  // namespace

ModelSource find_named_model(const ModelOptions& options, const OutputOptions& output) {
  ModelSource source = find_model_files(options.model, options.flag, options.use);
  note_source(source.note, options, output);
  return source;
}

FoundModel find_base(const ModelOptions& options, const OutputOptions& output) {
  FoundModel found = find_model(request_of(options));
  if (found.source) note_source(found.source->note, options, output);
  return found;
}

Session open_session(const ModelOptions& options, const DeviceOptions& device,
                     const OutputOptions& output, const LoadOptions& load) {
  return std::move(open_sessions(options, {&device, 1}, output, load).front());
}

std::vector<Session> open_sessions(const ModelOptions& options,
                                   std::span<const DeviceOptions> devices,
                                   const OutputOptions& output, const LoadOptions& load) {
  request_of(options);  // checks the options
  for (const DeviceOptions& device : devices) device.check();
  const FoundModel found = find(options, output);
  LoadOptions with_context = load;
  if (!options.context.empty()) with_context.context = parse_context(options, found);
  take_adapter(options, found, with_context);
  // Open all devices first, so that a device that fails is known before a long load on another.
  std::vector<OpenedDevice> opened;
  for (const DeviceOptions& device : devices)
    opened.push_back(open_device(device.device, device.open_options()));
  std::vector<Session> sessions;
  for (std::size_t i = 0; i < devices.size(); ++i) {
    sessions.push_back(load_on(opened[i], devices[i], found, output, with_context));
    if (i > 0 || output.quiet) continue;
    for (const std::string& warning : sessions.front().warnings) note("warning: " + warning);
  }
  sessions.front().vocabulary = vocabulary_of(found, sessions.front().model);
  return sessions;
}

ModelSpec find_spec(const ModelOptions& options) { return bitaxon::find_spec(request_of(options)); }

Vocabulary open_vocabulary(const ModelOptions& options, const OutputOptions& output) {
  const bool is_random = !named_preset(options).empty();
  // A named tokenizer needs no model.
  if (options.model.empty() && !options.tokenizer.empty() && !is_random) {
    FoundModel no_model{.request = request_of(options)};
    find_tokenizer(no_model, output);
    return {*no_model.tokenizer, "", INT32_MAX};
  }
  return bitaxon::open_vocabulary(find(options, output));
}

JinjaTemplate wanted_chat_template(const std::string& file, const ModelOptions& options,
                                   const std::optional<Vocabulary>& vocabulary) {
  const bool names_model = !options.model.empty();
  const auto folder = [&] {
    return find_model_files(options.model, options.flag, options.use).files.folder;
  };
  if (file.empty()) return find_chat_template(folder(), vocabulary.value().tokenizer());
  const JinjaTemplate loaded = JinjaTemplate::load(file);
  return names_model ? loaded.with_tokens_of(folder()) : loaded;
}

void check_writable(const std::string& flag, const std::string& path) {
  const std::filesystem::path file(path);
  if (const std::string problem = file_target_problem(file); !problem.empty())
    throw UsageError(
        fmt::format("{} {}: expected a file name, got {}", flag, printable_path(path), problem));
  try {
    const SignalsHeld until_it_is_gone;
    const AtomicFile attempt(file);  // finds obstacles other than permissions
  } catch (const Error& error) {
    throw Error(error.kind(), fmt::format("{} {}", flag, error.what()));
  }
}

}  // namespace bitaxon::tool
