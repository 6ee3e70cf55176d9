// Finds a model by its name, loads it on a device and reads its tokenizer.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bitaxon/chat_template.h"
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
  std::string repository;  ///< the hub id of a model in the hub cache; empty for other models
};

/// What a model is for. The bundled model that is used when none is named depends on it.
enum class ModelUse : std::uint8_t {
  text,  ///< continues texts: tiny-shakespeare
  chat,  ///< answers messages: tiny-chat
};

/// Finds the model that `name` names: a path or a hub id. For "", it finds the default model, which
/// is skyoo2003/bit-axon if the hub cache has a complete copy, else the bundled model for `use`.
/// Messages call the name `argument`. If there is no such model, throws Error(io) that says where
/// the function has searched and, for a hub id, which command fetches the model.
BX_API ModelSource find_model_files(const std::string& name, std::string_view argument = "model",
                                    ModelUse use = ModelUse::text);

/// The bundled model for a use, and the bundled text that evaluations read. The functions look next
/// to the program (in a build tree), in ../share/bit-axon, and in the share/bit-axon of the folder
/// that the shared library is installed in. If nothing is there, they throw Error(io) that tells the
/// user to name a model or a text with `argument`.
BX_API std::filesystem::path bundled_model_folder(std::string_view argument = "model",
                                                  ModelUse use = ModelUse::text);
BX_API std::filesystem::path bundled_text(std::string_view argument = "text");

/// The use whose bundled model an adapter was trained on, else `otherwise`. Throws Error(io, format,
/// unsupported) for an adapter that cannot be read.
BX_API ModelUse use_of_adapter(const std::filesystem::path& adapter, ModelUse otherwise);

/// What names a model and its tokenizer.
struct ModelRequest {
  /// A model directory, a safetensors file, or a hub id owner/name that is in the hub cache. If
  /// empty, random weights if there is a preset, else the default model for `use`.
  std::string model = {};
  /// A tokenizer file, a folder with a tokenizer, or a hub id in the hub cache. If empty, the
  /// model's own tokenizer is used.
  std::string tokenizer = {};
  /// The shape of random weights: "small", "medium" or "default". Ignored if a model is named.
  std::string preset = {};
  /// Quantizes matrices to 4 bits while loading: "nf4" or "mlx". If empty, matrices stay as they
  /// are stored.
  std::string quantize = {};
  /// Whether random weights are 4-bit codes. Their format is `quantize`, or "mlx" if that is empty.
  bool random_codes = false;
  std::uint64_t seed = 0;  ///< of random weights
  /// The chat template whose special tokens the tokenizer must have. Empty if there is no chat.
  std::optional<ChatTemplate> chat_template = {};
  ModelUse use = ModelUse::text;                 ///< chooses the default model
  std::string model_argument = "model";          ///< what messages call `model`
  std::string tokenizer_argument = "tokenizer";  ///< what messages call `tokenizer`
};

/// A model that was found for a request and is not loaded yet.
struct FoundModel {
  std::optional<ModelSource> source = {};  ///< empty for random weights
  ModelSpec preset = {};                   ///< the shape of random weights
  std::string name = {};                   ///< a printable path, or a description
  std::optional<Tokenizer> tokenizer = {};
  ModelRequest request = {};
};

/// Finds the model of a request, without its tokenizer. Throws as find_model_files does.
BX_API FoundModel find_model(const ModelRequest& request);

/// Reads the tokenizer that the request names, else the model's own tokenizer. This is quick, so
/// call it before a long load. Throws as Tokenizer::load does, and Error(unsupported) for a
/// tokenizer without the special tokens of the chat template.
BX_API void read_tokenizer(FoundModel& found);

/// A model on a device.
struct Session {
  std::string model_name;  ///< its printable path, or a description
  /// The folder of config.json, tokenizer and chat template. Empty for random weights.
  std::filesystem::path folder;
  std::shared_ptr<Backend> backend;
  Model model;
  std::optional<Vocabulary> vocabulary;  ///< empty if there is no tokenizer
  std::vector<std::string> notes;        ///< choices that were made for the caller, a line each
  std::vector<std::string> warnings;     ///< problems of the files that are no errors, a line each
};

/// A line that says which device was opened and why: "device: cpu (AMD EPYC, 2 threads): named".
BX_API std::string device_note(const OpenedDevice& device);

/// Loads the model, without its vocabulary. ModelRequest::quantize says how to quantize the model,
/// and LoadOptions::quantize is ignored.
BX_API Session load_session(const FoundModel& found, const OpenedDevice& device,
                            const LoadOptions& options);

/// The tokenizer, with its ids mapped to the ids of the model. Empty if there is no tokenizer.
/// Throws as Vocabulary does, and if the mapping has no id for a token of the chat template.
BX_API std::optional<Vocabulary> vocabulary_of(const FoundModel& found, const Model& model);

/// Finds the model, opens the device and loads the model. Session::notes has a line for each
/// default that was taken.
BX_API Session open_session(const ModelRequest& request, const std::string& device = "auto",
                            const LoadOptions& options = {}, const OpenOptions& open = {});

/// The chat template of a model folder. If the folder has none, ChatML, if the tokenizer has its
/// special tokens. Throws as JinjaTemplate::find does, and Error(unsupported) if there is neither.
BX_API JinjaTemplate find_chat_template(const std::filesystem::path& model_directory,
                                        const Tokenizer& tokenizer);

/// The description of the model of a request. Loads no weights.
BX_API ModelSpec find_spec(const ModelRequest& request);

/// The tokenizer, with its ids mapped to the ids of the model. Loads no weights. Throws Error(io)
/// if there is no tokenizer.
BX_API Vocabulary open_vocabulary(const FoundModel& found);

}  // namespace bitaxon
