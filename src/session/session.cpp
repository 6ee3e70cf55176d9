#include "bitaxon/session.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "bitaxon/error.h"
#include "model/model_folder.h"
#include "platform/printable.h"
#include "session/model_source.h"

namespace bitaxon {
namespace {

bool is_random(const ModelRequest& request) {
  return request.model.empty() && !request.preset.empty();
}

/// The tokenizer that the request names, else the model's own tokenizer. `files` is null for random
/// weights.
std::optional<Tokenizer> find_tokenizer(const ModelRequest& request, const ModelFiles* files) {
  if (!request.tokenizer.empty()) {
    const std::filesystem::path path =
        find_tokenizer_path(request.tokenizer, request.tokenizer_argument);
    std::error_code error;
    if (!std::filesystem::is_directory(path, error)) return Tokenizer::load(path);
    auto found = Tokenizer::find(path);
    if (!found)
      throw Error(ErrorKind::io,
                  fmt::format("{} {}: expected tokenizer.json or tokenizer.model in "
                              "the folder, found neither",
                              request.tokenizer_argument, printable_path(request.tokenizer)));
    return found;
  }
  if (files != nullptr) return Tokenizer::find(files->folder);
  if (request.preset == "small") return Tokenizer::bytes();
  return std::nullopt;
}

/// Refuses a tokenizer without the template's special tokens. To the model the template would be
/// plain text, and the answers would be nonsense.
void refuse_missing_tokens(ChatTemplate how, const Tokenizer& tokenizer) {
  const std::vector<std::string> missing = missing_tokens(how, tokenizer);
  if (!missing.empty())
    throw Error(ErrorKind::unsupported,
                fmt::format("chat: expected a tokenizer with the special tokens of the chat "
                            "template, got one without {}; `--chat-template none` sends plain text",
                            fmt::join(missing, " and ")));
}

/// Adds a note if a model computes exactly although `options` ask for fast. The note says why.
void note_precision(const LoadOptions& options, Session& session) {
  if (options.precision != Precision::fast || session.model.precision() != Precision::exact) return;
  session.notes.emplace_back(caps_of(*session.backend).always_exact
                                 ? "precision: the reference device always computes exactly"
                                 : "precision: a float32 model is always computed exactly");
}

}  // namespace

FoundModel find_model(const ModelRequest& request) {
  FoundModel found{.source = {}, .preset = {}, .name = {}, .tokenizer = {}, .request = request};
  if (is_random(request)) {
    found.preset = preset_spec(request.preset);
    found.name = fmt::format("the {} preset with random weights", request.preset);
  } else {
    found.source = find_model_files(request.model, request.model_argument, request.use);
    found.name = printable_path(found.source->files.weights.string());
  }
  return found;
}

void read_tokenizer(FoundModel& found) {
  found.tokenizer = find_tokenizer(found.request, found.source ? &found.source->files : nullptr);
  if (found.request.chat_template && found.tokenizer)
    refuse_missing_tokens(*found.request.chat_template, *found.tokenizer);
}

std::string device_note(const OpenedDevice& device) {
  const BackendCaps& caps = caps_of(*device.backend);
  return fmt::format("device: {} ({}): {}", caps.name, caps.device,
                     device.reason.empty() ? "named" : device.reason);
}

Session load_session(const FoundModel& found, const OpenedDevice& device,
                     const LoadOptions& options) {
  LoadOptions load = options;
  const bool makes_codes = !found.source && found.request.random_codes;
  load.quantize = found.request.quantize.empty() && makes_codes ? "mlx" : found.request.quantize;
  std::vector<std::string> warnings;
  const auto make_up = makes_codes ? Model::random_codes : Model::random;
  Session session{.model_name = found.name,
                  .folder = found.source ? found.source->files.folder : std::filesystem::path{},
                  .backend = device.backend,
                  .model = found.source
                               ? Model::load(device.backend, found.source->files, load, warnings)
                               : make_up(device.backend, found.preset, found.request.seed, load),
                  .vocabulary = {},
                  .notes = {},
                  .warnings = {}};
  session.warnings = std::move(warnings);
  note_precision(options, session);
  return session;
}

std::optional<Vocabulary> vocabulary_of(const FoundModel& found, const Model& model) {
  if (!found.tokenizer) return std::nullopt;
  Vocabulary vocabulary(*found.tokenizer, model.vocab_mapping(), model.spec().vocab_size);
  if (found.request.chat_template)
    // Encoding a special token throws if the mapping has no id for the token.
    for (const std::string_view token : special_tokens(*found.request.chat_template))
      vocabulary.encode(token);
  return vocabulary;
}

Session open_session(const ModelRequest& request, const std::string& device,
                     const LoadOptions& options, const OpenOptions& open) {
  FoundModel found = find_model(request);
  read_tokenizer(found);
  const OpenedDevice opened = open_device(device, open);
  Session session = load_session(found, opened, options);
  session.vocabulary = vocabulary_of(found, session.model);
  std::vector<std::string> notes;
  if (found.source && !found.source->note.empty()) notes.push_back(found.source->note);
  if (found.tokenizer && !found.tokenizer->note().empty()) notes.push_back(found.tokenizer->note());
  if (!opened.reason.empty()) notes.push_back(device_note(opened));
  session.notes.insert(session.notes.begin(), notes.begin(), notes.end());
  return session;
}

JinjaTemplate find_chat_template(const std::filesystem::path& model_directory,
                                 const Tokenizer& tokenizer) {
  if (std::optional<JinjaTemplate> found = JinjaTemplate::find(model_directory))
    return *std::move(found);
  if (!missing_tokens(ChatTemplate::chatml, tokenizer).empty())
    throw Error(ErrorKind::unsupported,
                fmt::format("{}: expected a chat template in chat_template.jinja or "
                            "tokenizer_config.json, or the tokens of ChatML in the tokenizer, got "
                            "neither",
                            printable_path(model_directory.string())));
  return JinjaTemplate::chatml().with_tokens_of(model_directory);
}

ModelSpec find_spec(const ModelRequest& request) {
  if (is_random(request)) return preset_spec(request.preset);
  std::vector<std::string> said_when_loading;
  return load_spec(find_model(request).source->files, said_when_loading);
}

Vocabulary open_vocabulary(const FoundModel& found) {
  if (!found.source) {
    if (found.tokenizer) return {*found.tokenizer, "", found.preset.vocab_size};
    throw Error(ErrorKind::io, fmt::format("the {} preset has no tokenizer: name one with {}",
                                           found.request.preset, found.request.tokenizer_argument));
  }
  const ModelFiles& files = found.source->files;
  if (!found.tokenizer)
    throw Error(
        ErrorKind::io,
        fmt::format("{}: expected tokenizer.json, tokenizer/tokenizer.json or "
                    "tokenizer.model, found none; name one with {}",
                    printable_path(files.folder.string()), found.request.tokenizer_argument));
  std::vector<std::string> warnings;
  const ModelSpec spec = load_spec(files, warnings);
  const Checkpoint checkpoint = open_checkpoint(files);
  return {*found.tokenizer, vocab_mapping_of(checkpoint.metadata(), files), spec.vocab_size};
}

}  // namespace bitaxon
