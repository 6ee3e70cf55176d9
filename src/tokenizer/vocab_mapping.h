// Maps tokenizer ids to model ids, for a checkpoint that uses a subset of its tokenizer's
// vocabulary.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <unordered_map>

namespace bitaxon {

class VocabMapping {
 public:
  /// Reads a mapping {tokenizer id: model id}. `text` is a JSON object with numbers as keys, such
  /// as {"12": 3}, or a Python dict literal of integers, such as {12: 3, 15: 4,}. White space is
  /// allowed between the tokens. Any other syntax is an error, and no code is evaluated. Ids are
  /// from 0 to 2^31 - 1, without sign or leading zeros. `name` begins every message. Throws
  /// Error(format). The message names the byte.
  static VocabMapping parse(std::string_view text, std::string_view name);

  std::optional<std::int32_t> to_model(std::int32_t tokenizer_id) const;
  /// The lowest tokenizer id that maps to `model_id`.
  std::optional<std::int32_t> to_tokenizer(std::int32_t model_id) const;
  std::size_t size() const { return to_model_.size(); }
  /// The largest model id; -1 when the mapping is empty.
  std::int32_t max_model_id() const { return max_model_id_; }

 private:
  std::unordered_map<std::int32_t, std::int32_t> to_model_;
  std::unordered_map<std::int32_t, std::int32_t> to_tokenizer_;
  std::int32_t max_model_id_ = -1;
};

}  // namespace bitaxon
