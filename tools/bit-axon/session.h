// Sessions as commands open them: options become requests, and notes are printed.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "bitaxon/session.h"
#include "options.h"

namespace bitaxon::tool {

/// The model that the options name. Says on stderr which default was taken, and that a preset flag
/// is ignored if a model is named.
ModelSource find_named_model(const ModelOptions& options, const OutputOptions& output);

/// The model that the options name, not loaded. Says on stderr how it was found.
FoundModel find_base(const ModelOptions& options, const OutputOptions& output);

/// Opens the device, loads the model and finds the tokenizer. Says on stderr what was chosen and
/// why. The command line sets the precision and the progress of `load`.
Session open_session(const ModelOptions& model, const DeviceOptions& device,
                     const OutputOptions& output, const LoadOptions& load);

/// Opens the same model on several devices. Warnings about the model are printed once. Only the
/// first session has the vocabulary.
std::vector<Session> open_sessions(const ModelOptions& model,
                                   std::span<const DeviceOptions> devices,
                                   const OutputOptions& output, const LoadOptions& load);

/// Describes the model without loading weights.
ModelSpec find_spec(const ModelOptions& options);

/// Opens the tokenizer, with its ids mapped to the ids of the model. Loads no weights. Throws
/// Error(io) if there is no tokenizer.
Vocabulary open_vocabulary(const ModelOptions& options, const OutputOptions& output);

/// The chat template of a file that --chat-template names, with the tokens of the named model, if
/// there is one. Without a file, the template of the model; `vocabulary` is then needed.
JinjaTemplate wanted_chat_template(const std::string& file, const ModelOptions& options,
                                   const std::optional<Vocabulary>& vocabulary);

/// Checks that a file can be written, before long work whose result it will hold.
void check_writable(const std::string& flag, const std::string& path);

}  // namespace bitaxon::tool
