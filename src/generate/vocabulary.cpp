#include <fmt/format.h>

#include "bitaxon/error.h"
#include "bitaxon/generate.h"
#include "platform/printable.h"
#include "tokenizer/vocab_mapping.h"

namespace bitaxon {

Vocabulary::Vocabulary(Tokenizer tokenizer, std::string_view mapping, std::int64_t vocab_size)
    : tokenizer_(std::move(tokenizer)) {
  if (!mapping.empty()) {
    mapping_ = std::make_shared<VocabMapping>(VocabMapping::parse(mapping, "vocab_mapping"));
    if (mapping_->max_model_id() >= vocab_size)
      throw Error(
          ErrorKind::format,
          fmt::format("vocab_mapping: expected model ids below the model's vocab_size of {}, "
                      "got {}",
                      vocab_size, mapping_->max_model_id()));
    return;
  }
  if (tokenizer_.vocab_size() > vocab_size)
    throw Error(ErrorKind::format,
                fmt::format("tokenizer: expected at most {} ids (the model's vocab_size), got {}",
                            vocab_size, tokenizer_.vocab_size()));
}

std::vector<std::int32_t> Vocabulary::encode(std::string_view text) const {
  std::vector<std::int32_t> ids = tokenizer_.encode(text);
  if (mapping_ == nullptr) return ids;
  for (std::int32_t& id : ids) {
    const auto image = mapping_->to_model(id);
    if (!image) {
      const std::int32_t one[] = {id};
      throw Error(ErrorKind::invalid_argument,
                  fmt::format("token {} (\"{}\"): expected an image in the checkpoint's "
                              "vocab_mapping, got none",
                              id, printable(tokenizer_.decode(one), 40)));
    }
    id = *image;
  }
  return ids;
}

std::int32_t Vocabulary::to_tokenizer(std::int32_t id) const {
  return mapping_ == nullptr ? id : mapping_->to_tokenizer(id).value_or(-1);
}

std::string Vocabulary::decode(std::span<const std::int32_t> ids, bool skip_special) const {
  std::vector<std::int32_t> own(ids.begin(), ids.end());
  for (std::int32_t& id : own) id = to_tokenizer(id);
  return tokenizer_.decode(own, skip_special);
}

std::vector<std::int32_t> Vocabulary::ends_of_sequence() const {
  if (mapping_ == nullptr) return tokenizer_.ends_of_sequence();
  std::vector<std::int32_t> ids;
  for (const std::int32_t own : tokenizer_.ends_of_sequence())
    if (const auto image = mapping_->to_model(own)) ids.push_back(*image);
  return ids;
}

}  // namespace bitaxon
