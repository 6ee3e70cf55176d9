// Training data: files of examples, as sequences of tokens in the order in which they are used.
//
// Examples stay in their files. A data set holds the place of each example, and reads and encodes
// the example again whenever it is used.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bitaxon/chat_template.h"
#include "bitaxon/generate.h"
#include "bitaxon/train.h"

namespace bitaxon {

/// Which tokens of a conversation are targets of the loss.
enum class TrainOn : std::uint8_t {
  all,        ///< every token but the first
  assistant,  ///< what the assistant says, in all of its turns
  last,       ///< what the assistant says in its last turn
};

/// Which tokens of a turn belong to what the assistant says.
enum class MaskStyle : std::uint8_t {
  content,        ///< the content and the token that ends it
  like_original,  ///< the whole turn with its header, as the original Bit-Axon does; only ChatML
};

/// What to do with an example that has a token which the model does not have.
enum class Unmapped : std::uint8_t { error, skip };

struct DataOptions {
  Objective objective = Objective::sft;
  std::int64_t max_seq_len = 2048;  ///< longer examples are cut from the right
  TrainOn train_on = TrainOn::assistant;
  MaskStyle mask = MaskStyle::content;
  Unmapped unmapped = Unmapped::error;
};

/// The tokens of a text, and which of them are targets.
struct MaskedTokens {
  std::vector<std::int32_t> ids;
  std::vector<bool> is_target;   ///< as long as `ids`
  std::int64_t full_length = 0;  ///< tokens before the text was cut to max_seq_len

  bool was_cut() const { return full_length > static_cast<std::int64_t>(ids.size()); }
  /// The number of targets. The first token is never one, because nothing predicts it.
  std::int64_t n_targets() const;
};

/// An example as tokens.
struct EncodedExample {
  MaskedTokens text;      ///< for ORPO: the prompt with the chosen answer
  MaskedTokens rejected;  ///< only for ORPO
  /// Tokens that the model does not have, as the tokenizer's ids, each once. The model's ids of the
  /// texts are then not valid.
  std::vector<std::int32_t> unmapped;

  /// Whether something can be learned from the example. ORPO needs targets in both texts.
  bool is_usable(Objective objective) const;
};

/// A file of a data set.
struct DataFile {
  std::string path;
  std::uint64_t bytes = 0;
  std::size_t n_examples = 0;
  std::uint64_t hash = 0;  ///< of the bytes of all examples
};

/// The lengths of sequences in tokens.
struct Lengths {
  std::int64_t median = 0, percentile_90 = 0, max = 0;
};

/// What a data set holds. ORPO: a pair is one example, and both of its texts are counted.
struct DataSurvey {
  std::vector<DataFile> files;
  /// The number of examples of each form that occurs, such as {"messages", 1200}.
  std::vector<std::pair<std::string, std::int64_t>> forms;
  std::int64_t n_examples = 0;
  std::int64_t n_usable = 0;           ///< examples that are trained on
  std::int64_t n_cut = 0;              ///< examples longer than max_seq_len
  std::int64_t n_without_targets = 0;  ///< left out: cut before the first target
  std::int64_t n_unmapped = 0;         ///< left out: they have tokens that the model does not have
  std::int64_t n_tokens = 0, n_targets = 0;  ///< of usable examples, after cutting
  Lengths lengths;                           ///< of all examples, before cutting
  /// The number of examples that were encoded. If it is less than n_examples, they are a sample, and
  /// the counts of the other members are scaled up from it.
  std::int64_t n_surveyed = 0;
};

class Dataset {
 public:
  /// Opens files and checks every example in them. A file holds one JSON object in each line, or one
  /// JSON array of objects. The forms are those of docs/training-data.md. Throws Error(io, format)
  /// that names file and line, what was expected and what was found. Throws Error(format) if there is
  /// no example, and Error(unsupported) if the tokenizer lacks the tokens of the chat template.
  static Dataset open(std::span<const std::string> paths, const Vocabulary& vocabulary,
                      const JinjaTemplate& chat_template, const DataOptions& options);
  /// A data set in memory. The examples are tokens already: ids of a model whose vocabulary has
  /// `vocab_size` tokens. `name` begins their places: "dataset[12]". Longer examples are cut as
  /// `options` say. Throws Error(format) that names an example with an id out of range or with another
  /// number of marks than ids, and if there is no example.
  static Dataset of_tokens(std::vector<EncodedExample> examples, const std::string& name,
                           std::int64_t vocab_size, const DataOptions& options);

  std::size_t size() const;
  const DataOptions& options() const;
  /// Whether the examples are texts, which a vocabulary encodes.
  bool has_vocabulary() const;
  const Vocabulary& vocabulary() const;  ///< only if has_vocabulary()
  /// The files, whole, also for a part that split() made.
  std::span<const DataFile> files() const;
  /// File and line of an example, such as "train.jsonl:12".
  std::string place_of(std::size_t index) const;
  /// The form of an example, such as "messages"; "tokens" for of_tokens().
  std::string_view form_of(std::size_t index) const;
  /// Reads and encodes an example. Throws Error(io, format) if the file has changed, and Error(format)
  /// if the borders of the targets cannot be found.
  EncodedExample encode(std::size_t index) const;

  /// Splits the data set into two: first the examples to train on, then about `share` of all
  /// examples, at least one, to validate with. Which ones depends on the seed only. Throws
  /// Error(invalid_argument) if one of the parts would be empty.
  std::pair<Dataset, Dataset> split(double share, std::uint64_t seed) const;

  /// Encodes the examples and counts. A very large data set is counted by a sample, unless an example
  /// may have unmapped tokens. `on_progress` receives the share that is done.
  /// Throws Error(format) for an unmapped token if the options forbid them, and if no example has a
  /// target. Throws what encode() throws.
  DataSurvey survey(const std::function<void(double)>& on_progress = {}) const;

 private:
  struct Files;
  explicit Dataset(std::shared_ptr<const Files> files) : files_(std::move(files)) {}

  /// The index of an example among all examples of the files.
  std::size_t in_files(std::size_t index) const;

  std::shared_ptr<const Files> files_;
  std::vector<std::uint32_t> part_;  ///< the indices of a part; empty for all examples
  bool is_part_ = false;
};

}  // namespace bitaxon
