// A model that is ready to use: found by its name, loaded on a device, with its tokenizer.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bitaxon/devices.h"
#include "bitaxon/export.h"
#include "bitaxon/generate.h"
#include "bitaxon/model.h"
#include "bitaxon/tokenizer.h"

namespace bitaxon {

/// The model that is used and downloaded when none is named.
inline constexpr const char* kDefaultRepository = "skyoo2003/bit-axon";

/// Where the files of a model are.
struct ModelSource {
  ModelFiles files;
  std::string note;        ///< one line that says which default was taken; empty for a named model
  std::string repository;  ///< the hub id by which it was found; empty for a path
};

/// Finds a path, a hub id, or, for "", the default: skyoo2003/bit-axon if the hub cache has a
/// complete copy, else the bundled model. Messages call the name `argument`. Throws Error(io) that
/// says where it was searched and, for a hub id, the command that fetches it.
BX_API ModelSource find_model_files(const std::string& name, std::string_view argument = "model");

/// The bundled model, and the bundled text that evaluations read. They are next to the program (in a
/// build tree), under ../share/bit-axon, or where the shared library was installed with them.
/// Messages call what should be named instead `argument`.
BX_API std::filesystem::path bundled_model_folder(std::string_view argument = "model");
BX_API std::filesystem::path bundled_text(std::string_view argument = "text");

/// What names a model and its tokenizer.
struct ModelRequest {
  /// A model directory, a safetensors file, or a hub id owner/name that is in the hub cache. Empty:
  /// the default, or random weights if there is a preset.
  std::string model = {};
  /// A tokenizer file, a folder with one, or a hub id in the hub cache. Empty: the model's own.
  std::string tokenizer = {};
  /// "small", "medium" or "default": the shape of random weights. Ignored if a model is named.
  std::string preset = {};
  /// Quantizes matrices to 4 bits while loading: "nf4" or "mlx". Empty: as they are stored.
  std::string quantize = {};
  /// Random weights are made up as 4-bit codes, in the format `quantize` (empty: "mlx").
  bool random_codes = false;
  /// For a chat: the template whose special tokens the tokenizer must have.
  std::optional<ChatTemplate> chat_template = {};
  std::string model_argument = "model";          ///< what messages call `model`
  std::string tokenizer_argument = "tokenizer";  ///< what messages call `tokenizer`
};

/// A model that a request names, not loaded yet.
struct FoundModel {
  std::optional<ModelSource> source = {};  ///< empty: random weights
  ModelSpec preset = {};                   ///< shape of random weights
  std::string name = {};                   ///< a printable path, or a description
  std::optional<Tokenizer> tokenizer = {};
  ModelRequest request = {};
};

/// Finds the model, without its tokenizer. Throws as find_model_files does.
BX_API FoundModel find_model(const ModelRequest& request);

/// Reads the tokenizer that the request names, else the model's own. This is quick, so call it
/// before a long load. Throws as Tokenizer::load does; Error(unsupported) for a tokenizer without
/// the special tokens of the chat template.
BX_API void read_tokenizer(FoundModel& found);

/// A model on a device.
struct Session {
  std::string model_name;  ///< its printable path, or a description
  std::shared_ptr<Backend> backend;
  Model model;
  std::optional<Vocabulary> vocabulary;  ///< empty if there is no tokenizer
  std::vector<std::string> notes;        ///< what was chosen for the caller, a line each
  std::vector<std::string> warnings;     ///< what is odd about the files, a line each
};

/// "device: cpu (AMD EPYC, 2 threads): named": which device was opened, and why.
BX_API std::string device_note(const OpenedDevice& device);

/// Loads the model, without its vocabulary. The request says how to quantize it, not `options`.
BX_API Session load_session(const FoundModel& found, const OpenedDevice& device,
                            const LoadOptions& options);

/// The tokenizer in the ids of the model; empty if there is no tokenizer. Throws as Vocabulary
/// does, and if a token of the chat template has no image.
BX_API std::optional<Vocabulary> vocabulary_of(const FoundModel& found, const Model& model);

/// Finds the model, opens the device and loads. `notes` has a line for each default that was taken.
BX_API Session open_session(const ModelRequest& request, const std::string& device = "auto",
                            const LoadOptions& options = {}, const OpenOptions& open = {});

/// Describes the model without loading weights.
BX_API ModelSpec find_spec(const ModelRequest& request);

/// The tokenizer in the ids of the model, without loading weights. Throws Error(io) if there is
/// none.
BX_API Vocabulary open_vocabulary(const FoundModel& found);

}  // namespace bitaxon
