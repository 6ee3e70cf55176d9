// The text that an evaluation reads, as token ids.
#include <fmt/format.h>

#include <algorithm>

#include "bitaxon/error.h"
#include "bitaxon/evaluation.h"
#include "platform/printable.h"

namespace bitaxon {

std::vector<std::int32_t> evaluation_ids(const std::string& name, std::string_view text,
                                         const Vocabulary& vocabulary,
                                         std::optional<std::int64_t> max_tokens) {
  vocabulary.check_utf8(name, text);
  std::vector<std::int32_t> ids = vocabulary.encode(text, {.add_special = true});
  // The first token is not predicted, so one more token than max_tokens is read.
  if (max_tokens) ids.resize(std::min(ids.size(), static_cast<std::size_t>(*max_tokens) + 1));
  if (ids.size() < 2)
    throw Error(ErrorKind::invalid_argument,
                fmt::format("{}: expected a text of at least 2 tokens, got {}", name, ids.size()));
  return ids;
}

void check_same_tokens(const std::string& argument, std::string_view text, const Session& first,
                       const Session& second) {
  const std::int64_t n_ids = first.model.spec().vocab_size;
  const auto refuse = [&](const std::string& expected, const std::string& got) {
    throw Error(ErrorKind::invalid_argument,
                fmt::format("{}: expected {}, got {}", argument, expected, got));
  };
  if (second.model.spec().vocab_size != n_ids)
    refuse(fmt::format("a vocabulary of {}", n_ids),
           std::to_string(second.model.spec().vocab_size));
  const Vocabulary& own = *first.vocabulary;
  const Vocabulary other = second.vocabulary
                               ? *second.vocabulary
                               : Vocabulary(own.tokenizer(), second.model.vocab_mapping(), n_ids);
  for (std::int32_t id = 0; id < n_ids; ++id) {
    const std::string a = own.decode({&id, 1}), b = other.decode({&id, 1});
    if (!a.empty() && !b.empty() && a != b)  // the text of an id without a token is empty
      refuse(fmt::format("the same tokens behind the ids, \"{}\" behind {}", printable(a, 40), id),
             fmt::format("\"{}\"", printable(b, 40)));
  }
  const std::vector<std::int32_t> ids = own.encode(text), others = other.encode(text);
  const auto [i, j] = std::mismatch(ids.begin(), ids.end(), others.begin(), others.end());
  if (i != ids.end() || j != others.end())
    refuse("the text as the same token ids",
           fmt::format("others from token {} on", i - ids.begin()));
}

}  // namespace bitaxon
