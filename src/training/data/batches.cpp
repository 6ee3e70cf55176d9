#include "training/data/batches.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "bitaxon/error.h"
#include "platform/printable.h"
#include "training/data/order.h"

namespace bitaxon {
namespace {

/// A text as the model is trained on it. The tokens behind the last target are left out, because
/// nothing is learned from them. Empty without targets.
TrainSequence sequence_of(const MaskedTokens& text) {
  TrainSequence sequence;
  std::size_t last = text.ids.size();
  while (last > 0 && !text.is_target[last - 1]) --last;
  for (std::size_t i = 1; i < last; ++i) {
    sequence.ids.push_back(text.ids[i - 1]);
    sequence.labels.push_back(text.is_target[i] ? text.ids[i] : TrainSequence::kNoTarget);
  }
  return sequence;
}

/// What one row of a micro-batch holds.
struct Row {
  std::vector<TrainSequence> sequences;
  std::vector<std::size_t> examples;
  std::int64_t n_tokens = 0;

  void add(TrainSequence sequence) {
    n_tokens += static_cast<std::int64_t>(sequence.ids.size());
    sequences.push_back(std::move(sequence));
  }
};

}  // namespace

struct Batches::Impl {
  Impl(Dataset dataset, const BatchOptions& wanted, const DataPosition& begin);

  void expect_token();
  bool begin_epoch();
  std::size_t example() const;
  const EncodedExample& encoded();
  void expect_targets(bool may_follow) const;
  bool skips_unusable();
  std::optional<Row> next_row();
  std::optional<Row> examples_of_row();
  std::optional<Row> row_of_tokens();
  bool take_tokens(MaskedTokens& row);

  Dataset data;
  BatchOptions options;
  DataPosition position;
  std::int32_t separator = 0;
  std::vector<std::uint32_t> order;  ///< empty without shuffle
  std::optional<std::size_t> encoded_index;
  EncodedExample encoded_example;  ///< of encoded_index: a row that it does not fit into asks first
  std::size_t n_unusable = 0, n_empty_rows = 0;  ///< one after another
};

Batches::Impl::Impl(Dataset dataset, const BatchOptions& wanted, const DataPosition& begin)
    : data(std::move(dataset)), options(wanted), position(begin) {
  if (options.batch_size < 1)
    throw Error(ErrorKind::invalid_argument,
                fmt::format("batch-size: expected at least 1, got {}", options.batch_size));
  if (position.next_example > data.size())
    throw Error(ErrorKind::invalid_argument,
                fmt::format("position: expected at most {} examples, got {}", data.size(),
                            position.next_example));
  if (options.separator) {
    separator = *options.separator;
  } else if (data.has_vocabulary()) {
    const std::vector<std::int32_t> ends = data.vocabulary().ends_of_sequence();
    if (!ends.empty()) separator = ends.front();
  }
  if (data.options().objective == Objective::orpo) options.packing = Packing::none;
  if (options.shuffle) order = shuffled_order(data.size(), options.seed, position.epoch);
  expect_token();
}

/// Checks that the place within an example is one of its tokens.
void Batches::Impl::expect_token() {
  if (position.next_token == 0) return;
  const bool has_example =
      options.packing == Packing::concat && position.next_example < data.size();
  const std::size_t n_tokens = has_example ? encoded().text.ids.size() : 1;
  if (position.next_token >= n_tokens)
    throw Error(ErrorKind::invalid_argument,
                fmt::format("position: expected a token below {} of the example, got {}", n_tokens,
                            position.next_token));
}

/// Goes to the next epoch. Returns false after the last one.
bool Batches::Impl::begin_epoch() {
  if (options.epochs && position.epoch + 1 >= *options.epochs) return false;
  ++position.epoch;
  position.next_example = position.next_token = 0;
  if (options.shuffle) order = shuffled_order(data.size(), options.seed, position.epoch);
  return true;
}

std::size_t Batches::Impl::example() const {
  const auto place = static_cast<std::size_t>(position.next_example);
  return options.shuffle ? order[place] : place;
}

const EncodedExample& Batches::Impl::encoded() {
  if (encoded_index != example()) {
    encoded_index.reset();
    encoded_example = data.encode(example());
    encoded_index = example();
  }
  return encoded_example;
}

/// Ends what would be an endless search.
void Batches::Impl::expect_targets(bool may_follow) const {
  if (!may_follow)
    throw Error(ErrorKind::format, fmt::format("{}: expected an example with a target, got none",
                                               printable_path(data.files().front().path)));
}

/// Skips the next example if nothing can be learned from it.
bool Batches::Impl::skips_unusable() {
  const EncodedExample& next = encoded();
  if (!next.unmapped.empty() && data.options().unmapped == Unmapped::error)
    throw Error(ErrorKind::format,
                fmt::format("{}: expected tokens that the model has, got token {}",
                            data.place_of(example()), next.unmapped.front()));
  if (next.is_usable(data.options().objective)) {
    n_unusable = 0;
    return false;
  }
  expect_targets(++n_unusable < 2 * data.size());  // the end of an epoch and the begin of the next
  ++position.next_example;
  return true;
}

/// Empty after the last epoch.
std::optional<Row> Batches::Impl::next_row() {
  return options.packing == Packing::concat ? row_of_tokens() : examples_of_row();
}

std::optional<Row> Batches::Impl::examples_of_row() {
  Row row;
  for (;;) {
    if (position.next_example == data.size()) {
      if (!row.sequences.empty()) return row;
      if (!begin_epoch()) return std::nullopt;
      continue;
    }
    if (skips_unusable()) continue;
    TrainSequence sequence = sequence_of(encoded().text);
    const std::int64_t n_tokens = row.n_tokens + static_cast<std::int64_t>(sequence.ids.size());
    if (!row.sequences.empty() && n_tokens > data.options().max_seq_len) return row;
    row.add(std::move(sequence));
    if (data.options().objective == Objective::orpo) row.add(sequence_of(encoded().rejected));
    row.examples.push_back(example());
    ++position.next_example;
    if (options.packing == Packing::none) return row;
  }
}

/// Adds tokens of the next example to a row. Returns whether the row is full.
bool Batches::Impl::take_tokens(MaskedTokens& row) {
  const auto size = static_cast<std::size_t>(data.options().max_seq_len);
  const auto push = [&](std::int32_t id, bool is_target) {
    row.ids.push_back(id);
    row.is_target.push_back(is_target);
  };
  const MaskedTokens& text = encoded().text;
  if (position.next_token == 0 && !row.ids.empty()) push(separator, false);
  while (row.ids.size() < size && position.next_token < text.ids.size()) {
    const auto at = static_cast<std::size_t>(position.next_token++);
    push(text.ids[at], text.is_target[at]);
  }
  if (position.next_token == text.ids.size()) {
    ++position.next_example;
    position.next_token = 0;
  }
  return row.ids.size() >= size;
}

/// A row of max_seq_len tokens. The last row of an epoch may have fewer.
std::optional<Row> Batches::Impl::row_of_tokens() {
  for (;;) {
    MaskedTokens tokens;
    Row row;
    while (position.next_example < data.size()) {
      if (position.next_token == 0 && skips_unusable()) continue;
      row.examples.push_back(example());
      if (take_tokens(tokens)) break;
    }
    if (tokens.ids.empty() && !begin_epoch()) return std::nullopt;
    TrainSequence sequence = sequence_of(tokens);
    if (sequence.ids.empty()) {  // no target, or one that is the first token of the row
      expect_targets(++n_empty_rows <= 2 * data.size() + 1);
      continue;
    }
    n_empty_rows = 0;
    row.add(std::move(sequence));
    return row;
  }
}

Batches::Batches(Dataset data, const BatchOptions& options, const DataPosition& begin)
    : impl_(std::make_unique<Impl>(std::move(data), options, begin)) {}

Batches::Batches(Batches&&) noexcept = default;
Batches& Batches::operator=(Batches&&) noexcept = default;
Batches::~Batches() = default;

MicroBatch Batches::next() {
  MicroBatch batch;
  for (std::int64_t i = 0; i < impl_->options.batch_size; ++i) {
    std::optional<Row> row = impl_->next_row();
    if (!row) break;
    for (TrainSequence& sequence : row->sequences) {
      sequence.micro_batch = impl_->position.micro_batch;
      sequence.first_row = static_cast<std::uint64_t>(batch.n_tokens);
      batch.n_tokens += static_cast<std::int64_t>(sequence.ids.size());
      batch.n_targets += std::ssize(sequence.labels) -
                         std::ranges::count(sequence.labels, TrainSequence::kNoTarget);
      batch.sequences.push_back(std::move(sequence));
    }
    batch.examples.insert(batch.examples.end(), row->examples.begin(), row->examples.end());
  }
  if (!batch.sequences.empty()) ++impl_->position.micro_batch;
  return batch;
}

const DataPosition& Batches::position() const { return impl_->position; }

}  // namespace bitaxon
