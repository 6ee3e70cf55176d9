#include "session.h"

#include <fmt/ranges.h>

#include "bitaxon/devices.h"
#include "bitaxon/error.h"
#include "console.h"
#include "formats/safetensors.h"
#include "platform/file.h"
#include "platform/printable.h"
#include "platform/signals.h"
#include "tokenizer/utf8.h"

namespace bitaxon::tool {
namespace {

/// The seed is fixed, so that random weights are the same everywhere.
constexpr std::uint64_t kRandomModelSeed = 0;

bool is_random(const ModelOptions& options) {
  return options.model.empty() &&
         (options.config_small || options.config_medium || options.random_by_default);
}

void check_model_options(const ModelOptions& options) {
  if (!options.quantize.empty() && options.quantize != "nf4" && options.quantize != "mlx")
    throw UsageError(
        fmt::format("--quantize: expected nf4 or mlx, got \"{}\"", printable(options.quantize)));
}

std::string preset_name(const ModelOptions& options) {
  if (options.config_small) return "small";
  return options.config_medium ? "medium" : "default";
}

std::optional<Tokenizer> find_tokenizer(const ModelOptions& options, const ModelFiles* files) {
  if (!options.tokenizer.empty()) {
    const std::filesystem::path path = find_tokenizer_path(options.tokenizer);
    std::error_code error;
    if (!std::filesystem::is_directory(path, error)) return Tokenizer::load(path);
    auto found = Tokenizer::find(path);
    if (!found)
      throw Error(ErrorKind::io,
                  fmt::format("--tokenizer {}: expected tokenizer.json or tokenizer.model in the "
                              "folder, found neither",
                              printable_path(options.tokenizer)));
    return found;
  }
  if (files != nullptr) return Tokenizer::find(files->folder);
  if (options.config_small) return Tokenizer::bytes();
  return std::nullopt;
}

/// Without these tokens the template would be plain text to the model, and the answers nonsense.
void refuse_missing_tokens(ChatTemplate how, const Tokenizer& tokenizer) {
  const std::vector<std::string> missing = missing_tokens(how, tokenizer);
  if (!missing.empty())
    throw Error(ErrorKind::unsupported,
                fmt::format("chat: expected a tokenizer with the special tokens of the chat "
                            "template, got one without {}; `--chat-template none` sends plain text",
                            fmt::join(missing, " and ")));
}

void note_all(const std::vector<std::string>& lines, const OutputOptions& output) {
  if (output.quiet) return;
  for (const std::string& line : lines) note("warning: " + line);
}

void say_precision(const Session& session, const DeviceOptions& device,
                   const OutputOptions& output) {
  const bool asked_fast = device.wanted_precision() == Precision::fast;
  if (asked_fast && session.model->precision() == Precision::exact && !output.quiet)
    note(caps_of(*session.backend).always_exact
             ? "precision: the reference device always computes exactly"
             : "precision: a float32 model is always computed exactly");
}

/// The model that a command line names, not yet loaded.
struct FoundModel {
  std::optional<ModelSource> source;  ///< empty: a preset with random weights
  ModelSpec preset;
  std::string name;
  std::string quantize;  ///< format to quantize to while loading
  bool random_codes = false;
  std::optional<Tokenizer> tokenizer;
};

FoundModel find(const ModelOptions& options, const OutputOptions& output) {
  FoundModel found;
  found.quantize = options.quantize;
  if (is_random(options)) {
    found.preset = preset_spec(preset_name(options));
    found.name = fmt::format("the {} preset with random weights", preset_name(options));
    found.random_codes = options.random_codes;
    if (options.random_codes && found.quantize.empty()) found.quantize = "mlx";
  } else {
    found.source = find_named_model(options, output);
    found.name = printable_path(found.source->files.weights.string());
  }
  // The tokenizer is read first: this is quick, and its errors come before a long load.
  found.tokenizer = find_tokenizer(options, found.source ? &found.source->files : nullptr);
  if (options.chat_template && found.tokenizer)
    refuse_missing_tokens(*options.chat_template, *found.tokenizer);
  return found;
}

OpenedDevice open(const DeviceOptions& device) {
  return open_device(device.device, device.open_options());
}

/// A session without the vocabulary.
Session load_on(OpenedDevice opened, const DeviceOptions& device, const FoundModel& found,
                const OutputOptions& output, LoadOptions load, std::vector<std::string>& warnings) {
  Session session;
  session.model_name = found.name;
  session.backend = std::move(opened.backend);
  if ((!opened.reason.empty() || output.verbose) && !output.quiet)
    note(fmt::format("device: {} ({}): {}", caps_of(*session.backend).name,
                     caps_of(*session.backend).device,
                     opened.reason.empty() ? "named" : opened.reason));
  load.precision = device.wanted_precision();
  load.quantize = found.quantize;
  ProgressLine progress("loading", !output.quiet);
  load.on_progress = [&](std::uint64_t done, std::uint64_t total) { progress.update(done, total); };
  const auto make_up = found.random_codes ? Model::random_codes : Model::random;
  session.model.emplace(found.source
                            ? Model::load(session.backend, found.source->files, load, warnings)
                            : make_up(session.backend, found.preset, kRandomModelSeed, load));
  say_precision(session, device, output);
  return session;
}

void add_vocabulary(FoundModel& found, std::optional<ChatTemplate> chat_template,
                    Session& session) {
  if (!found.tokenizer) return;
  session.vocabulary.emplace(std::move(*found.tokenizer), session.model->vocab_mapping(),
                             session.model->spec().vocab_size);
  if (!chat_template) return;
  // This throws if a mapping has no image of a token.
  for (const std::string_view token : special_tokens(*chat_template))
    session.vocabulary->encode(token);
}

}  // namespace

ModelSource find_named_model(const ModelOptions& options, const OutputOptions& output) {
  ModelSource source = find_model(options.model, options.flag);
  if (output.quiet) return source;
  if (!source.note.empty()) note(source.note);
  if (options.config_small || options.config_medium)
    note(fmt::format("{} is ignored: the model's own config.json is used",
                     options.config_small ? "--config-small" : "--config-medium"));
  return source;
}

Session open_session(const ModelOptions& options, const DeviceOptions& device,
                     const OutputOptions& output, const LoadOptions& load) {
  return std::move(open_sessions(options, {&device, 1}, output, load).front());
}

std::vector<Session> open_sessions(const ModelOptions& options,
                                   std::span<const DeviceOptions> devices,
                                   const OutputOptions& output, const LoadOptions& load) {
  check_model_options(options);
  for (const DeviceOptions& device : devices) device.check();
  FoundModel found = find(options, output);
  // Open all devices first, so that a device that fails is known before a long load on another.
  std::vector<OpenedDevice> opened;
  for (const DeviceOptions& device : devices) opened.push_back(open(device));
  std::vector<Session> sessions;
  for (std::size_t i = 0; i < devices.size(); ++i) {
    std::vector<std::string> warnings;
    sessions.push_back(load_on(std::move(opened[i]), devices[i], found, output, load, warnings));
    if (i == 0) note_all(warnings, output);
  }
  add_vocabulary(found, options.chat_template, sessions.front());
  return sessions;
}

ModelSpec find_spec(const ModelOptions& options) {
  check_model_options(options);
  if (is_random(options)) return preset_spec(preset_name(options));
  std::vector<std::string> said_when_loading;
  return load_spec(find_model(options.model, options.flag).files, said_when_loading);
}

Vocabulary open_vocabulary(const ModelOptions& options, const OutputOptions& output) {
  check_model_options(options);
  if (is_random(options)) {
    auto tokenizer = find_tokenizer(options, nullptr);
    if (!tokenizer)
      throw Error(ErrorKind::io, "the medium preset has no tokenizer: name one with --tokenizer");
    return {std::move(*tokenizer), "", preset_spec(preset_name(options)).vocab_size};
  }
  // A named tokenizer needs no model.
  if (options.model.empty() && !options.tokenizer.empty())
    return {*find_tokenizer(options, nullptr), "", INT32_MAX};
  const ModelSource source = find_named_model(options, output);
  auto tokenizer = find_tokenizer(options, &source.files);
  if (!tokenizer)
    throw Error(ErrorKind::io,
                fmt::format("{}: expected tokenizer.json, tokenizer/tokenizer.json or "
                            "tokenizer.model, found none; name one with --tokenizer",
                            printable_path(source.files.folder.string())));
  std::vector<std::string> warnings;
  const ModelSpec spec = load_spec(source.files, warnings);
  const Checkpoint checkpoint = Checkpoint::open(source.files.weights);
  return {std::move(*tokenizer), vocab_mapping_of(checkpoint.metadata(), source.files),
          spec.vocab_size};
}

void check_utf8(const std::string& what, std::string_view text, const Vocabulary& vocabulary) {
  const std::size_t n_valid = valid_prefix(text);
  if (n_valid == text.size() || vocabulary.tokenizer().kind() == "bytes") return;
  throw Error(ErrorKind::invalid_argument,
              fmt::format("{}: expected UTF-8, got byte 0x{:02x} at byte {}", what,
                          static_cast<unsigned char>(text[n_valid]), n_valid));
}

void check_writable(const std::string& flag, const std::string& path) {
  const std::filesystem::path file(path);
  if (const std::string problem = file_target_problem(file); !problem.empty())
    throw UsageError(
        fmt::format("{} {}: expected a file name, got {}", flag, printable_path(path), problem));
  try {
    const SignalsHeld until_it_is_gone;
    const AtomicFile attempt(file);  // other obstacles than permissions may exist
  } catch (const Error& error) {
    throw Error(error.kind(), fmt::format("{} {}", flag, error.what()));
  }
}

}  // namespace bitaxon::tool
