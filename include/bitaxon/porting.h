// A Bit-Axon model made from the weights of a Qwen2.5 model. The embedding, the norms and the
// feed-forward parts come from Qwen2.5, all other weights begin with random values. The new model
// can load and run, but it has to be trained before its answers mean anything.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bitaxon/dtype.h"
#include "bitaxon/export.h"
#include "bitaxon/model_spec.h"

namespace bitaxon {

/// The model that port-weights reads when no source is named.
inline constexpr const char* kDefaultPortSource = "Qwen/Qwen2.5-3B";
/// The standard deviation of the noise of the experts when PortOptions::expert_noise is empty.
inline constexpr double kExpertNoise = 0.02;

/// Ids of a model by ids of its tokenizer: {tokenizer id: model id}.
using VocabIds = std::map<std::int32_t, std::int32_t>;

struct VocabOptions {
  std::int64_t target_size = 32000;  ///< ids that the model has
  /// A text in UTF-8. The most frequent tokens of the text get ids. Empty: the tokens with the
  /// lowest ids, which are the earliest merges.
  std::optional<std::string> corpus = {};
};

/// Chooses target_size tokens of a tokenizer.json of byte-level BPE. The choice always holds the 256
/// tokens of single bytes, and with a token the two tokens that it is merged from, so that every text
/// has ids and every chosen token can occur. The last model ids belong to <|endoftext|>,
/// <|im_start|> and <|im_end|>, as far as the tokenizer has them. The other model ids are in the
/// order of the tokenizer ids; with a corpus, frequent tokens come first. Throws
/// Error(invalid_argument) for a target size that is too small or above the tokenizer's size, and
/// Error(io, format, unsupported) for a tokenizer that cannot be read.
BX_API VocabIds build_vocab_mapping(const std::filesystem::path& tokenizer_json,
                                    const VocabOptions& options = {});
/// The mapping as JSON, as the metadata vocab_mapping of a checkpoint holds it.
BX_API std::string vocab_mapping_json(const VocabIds& ids);

/// Which ids the tokens of a truncated tokenizer have.
enum class TokenIds : std::uint8_t {
  tokenizer,  ///< those of the whole tokenizer; a vocab_mapping leads to the model ids
  model       ///< the model ids; no vocab_mapping is needed
};
/// The text of a tokenizer.json that has only the tokens of `ids`, and the merges among them. Throws
/// Error(io, format, unsupported) as Tokenizer::load does.
BX_API std::string truncated_tokenizer(const std::filesystem::path& tokenizer_json,
                                       const VocabIds& ids, TokenIds numbers = TokenIds::tokenizer);

/// How a weight of the new model comes about.
enum class PortRule : std::uint8_t {
  initial,        ///< no source: random, or a constant
  vocab_extract,  ///< the rows of the mapped ids
  pad_norm,       ///< the source's entries, then ones
  moe_project,    ///< the first rows and columns of the source, then zeros
  copy_perturb    ///< copies of the shared expert; each but the first with noise
};
/// The original program's name of a rule: "default", "vocab_extract", "pad_2048_2560",
/// "moe_project", "copy_perturb".
BX_API std::string_view name_of(PortRule rule);

struct KeyMapping {
  std::string target;  ///< a tensor of the new model
  std::string source;  ///< a tensor of the Qwen2.5 model; empty for `initial` and `copy_perturb`
  PortRule rule = PortRule::initial;
};
/// The rule of every weight of a Bit-Axon model, in the model's order. Throws
/// Error(invalid_argument) for a description of another family.
BX_API std::vector<KeyMapping> build_key_mappings(const ModelSpec& spec);

struct PortOptions {
  /// A folder with the safetensors files and the tokenizer.json of a Qwen2.5 model. Empty: random
  /// weights with twice the ids, and a tokenizer of bytes and chat tokens.
  std::filesystem::path source = {};
  std::string base_model = {};       ///< the source's hub id, kept in the metadata; may be empty
  ModelSpec spec = {};               ///< the Bit-Axon model to make, such as preset_spec("default")
  std::optional<VocabIds> ids = {};  ///< empty: build_vocab_mapping()
  std::optional<std::string> corpus = {};  ///< for build_vocab_mapping()
  /// Whether the source has a tokenizer.json, which the new model then gets too. If not, `ids` must
  /// be given.
  bool has_tokenizer = true;
  std::uint64_t seed = 42;  ///< of everything random
  /// The standard deviation of the noise of all experts but the first, as a multiple of the standard
  /// deviation of the weights that the matrix copies. Empty: kExpertNoise itself, as in the original
  /// program. That is about as large as the weights of Qwen2.5-3B, so such experts are half noise.
  std::optional<double> expert_noise = {};
  DType dtype = DType::f16;  ///< of the matrices; all other tensors are F32
};

/// One part of the new model ("embedding", "experts", ...), or the whole model.
struct PortedPart {
  std::int64_t parameters = 0;
  std::int64_t from_source = 0;  ///< parameters of weights that have a source
  std::uint64_t bytes = 0;
};

struct PortReport {
  std::map<std::string, PortedPart> parts;
  PortedPart total;
};

/// A new model that is planned but not written yet. The files of the source stay open.
class BX_API Porting {
 public:
  /// Reads the source's tokenizer and checks all its tensors. Throws Error(io, format, unsupported)
  /// for files that cannot be used. Throws Error(invalid_argument) for options out of range, and for
  /// a source of another width than the new model's embedding.
  static Porting plan(const PortOptions& options);
  Porting(Porting&&) noexcept;
  Porting& operator=(Porting&&) noexcept;
  ~Porting();

  const VocabIds& ids() const;
  /// Problems of the files that are not errors, one line each.
  const std::vector<std::string>& warnings() const;

  /// Writes config.json, model.safetensors and, with PortOptions::has_tokenizer, tokenizer.json and
  /// tokenizer_config.json into a new folder, which appears when it is complete. Weights are made piece by piece. The same seed gives
  /// the same bytes. Returns nothing if the call was interrupted. Throws Error(io) if the folder
  /// exists and is not empty, and if a file cannot be read or written. Throws OutOfMemory before
  /// anything is written. Throws Error(format) for a number that the type cannot hold.
  std::optional<PortReport> write(
      const std::filesystem::path& output,
      const std::function<void(std::uint64_t done_bytes, std::uint64_t total_bytes)>& on_progress =
          {},
      const std::atomic<bool>* interrupted = nullptr) const;

 private:
  struct Impl;
  explicit Porting(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace bitaxon
