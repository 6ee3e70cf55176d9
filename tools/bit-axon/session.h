// A device with a model on it and the tokenizer beside it, as a command needs them.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "bitaxon/generate.h"
#include "bitaxon/model.h"
#include "model_source.h"
#include "options.h"

namespace bitaxon::tool {

struct Session {
  std::string model_name;            ///< its path, printable, or what it is
  std::unique_ptr<Backend> backend;  // before the model, which it outlives
  std::optional<Model> model;
  std::optional<Vocabulary> vocabulary;  ///< empty when there is no tokenizer
};

/// The model that the options name. Says on stderr which default was taken, and that a preset
/// beside a model is ignored.
ModelSource find_named_model(const ModelOptions& options, const OutputOptions& output);

/// Opens the device, loads the model, finds the tokenizer; says on stderr what was chosen and why.
/// Of `load`, precision and progress are taken from the command line.
Session open_session(const ModelOptions& model, const DeviceOptions& device,
                     const OutputOptions& output, const LoadOptions& load);

/// The same model on several devices; what there is to say of the model is said once. The
/// vocabulary is the first one's.
std::vector<Session> open_sessions(const ModelOptions& model,
                                   std::span<const DeviceOptions> devices,
                                   const OutputOptions& output, const LoadOptions& load);

/// The configuration alone, without loading weights.
Config find_config(const ModelOptions& options);

/// The tokenizer alone, in the model's ids, without loading weights.
/// Throws Error(io) when there is none.
Vocabulary open_vocabulary(const ModelOptions& options, const OutputOptions& output);

/// Text for a tokenizer has to be UTF-8 (the byte tokenizer takes any bytes). Throws
/// Error(invalid_argument) that names the thing and the byte.
void check_utf8(const std::string& what, std::string_view text, const Vocabulary& vocabulary);

/// Checks that a file could be written there, before long work whose result it is to hold.
void check_writable(const std::string& flag, const std::string& path);

}  // namespace bitaxon::tool
