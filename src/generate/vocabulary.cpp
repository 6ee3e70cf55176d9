#include <fmt/format.h>

#include <optional>
#include <utility>

#include "bitaxon/error.h"
#include "bitaxon/generate.h"
#include "platform/printable.h"
#include "platform/utf8.h"
#include "tokenizer/vocab_mapping.h"

namespace bitaxon {

struct BX_HIDDEN Vocabulary::Impl {
  Tokenizer tokenizer;
  std::optional<VocabMapping> mapping;  ///< empty if the tokenizer's ids are the model's ids
};

Vocabulary::Vocabulary(Tokenizer tokenizer, std::string_view mapping, std::int64_t vocab_size) {
  auto impl = std::make_shared<Impl>(Impl{std::move(tokenizer), {}});
  impl_ = impl;
  if (!mapping.empty()) {
    impl->mapping = VocabMapping::parse(mapping, "vocab_mapping");
    if (impl->mapping->max_model_id() >= vocab_size)
      throw Error(
          ErrorKind::format,
          fmt::format("vocab_mapping: expected model ids below the model's vocab_size of {}, "
                      "got {}",
                      vocab_size, impl->mapping->max_model_id()));
    return;
  }
  if (impl->tokenizer.vocab_size() > vocab_size)
    throw Error(ErrorKind::format,
                fmt::format("tokenizer: expected at most {} ids (the model's vocab_size), got {}",
                            vocab_size, impl->tokenizer.vocab_size()));
}

void Vocabulary::check_utf8(const std::string& what, std::string_view text) const {
  const std::size_t n_valid = valid_prefix(text);
  if (n_valid == text.size() || tokenizer().kind() == "bytes") return;
  throw Error(ErrorKind::invalid_argument,
              fmt::format("{}: expected UTF-8, got byte 0x{:02x} at byte {}", what,
                          static_cast<unsigned char>(text[n_valid]), n_valid));
}

std::vector<std::int32_t> Vocabulary::encode(std::string_view text, EncodeOptions options) const {
  std::vector<std::int32_t> ids = impl_->tokenizer.encode(text, options);
  if (!impl_->mapping) return ids;
  for (std::int32_t& id : ids) {
    const auto image = to_model(id);
    if (!image) {
      const std::int32_t one[] = {id};
      throw Error(ErrorKind::invalid_argument,
                  fmt::format("token {} (\"{}\"): expected an image in the checkpoint's "
                              "vocab_mapping, got none",
                              id, printable(impl_->tokenizer.decode(one), 40)));
    }
    id = *image;
  }
  return ids;
}

const Tokenizer& Vocabulary::tokenizer() const { return impl_->tokenizer; }

bool Vocabulary::is_mapped() const { return impl_->mapping.has_value(); }

std::optional<std::int32_t> Vocabulary::to_model(std::int32_t id) const {
  return !impl_->mapping ? id : impl_->mapping->to_model(id);
}

std::int32_t Vocabulary::to_tokenizer(std::int32_t id) const {
  return !impl_->mapping ? id : impl_->mapping->to_tokenizer(id).value_or(-1);
}

std::string Vocabulary::decode(std::span<const std::int32_t> ids, bool skip_special) const {
  std::vector<std::int32_t> own(ids.begin(), ids.end());
  for (std::int32_t& id : own) id = to_tokenizer(id);
  return impl_->tokenizer.decode(own, skip_special);
}

std::vector<std::int32_t> Vocabulary::ends_of_sequence() const {
  if (!impl_->mapping) return impl_->tokenizer.ends_of_sequence();
  std::vector<std::int32_t> ids;
  for (const std::int32_t own : impl_->tokenizer.ends_of_sequence())
    if (const auto image = impl_->mapping->to_model(own)) ids.push_back(*image);
  return ids;
}

}  // namespace bitaxon
