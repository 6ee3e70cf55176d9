#include "training/data/dataset.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <optional>

#include "bitaxon/error.h"
#include "platform/printable.h"
#include "training/data/each_example.h"
#include "training/data/example_encoder.h"
#include "training/data/order.h"
#include "training/data/record_file.h"

namespace bitaxon {
namespace {

/// Calls body() and puts the place of the example before the message of an error.
template <class Body>
auto at_place(const std::string& place, const Body& body) {
  try {
    return body();
  } catch (const Error& error) {
    if (std::string_view(error.what()).starts_with(place)) throw;  // from the parser
    throw Error(error.kind(), fmt::format("{}: {}", place, error.what()));
  }
}

/// Checks tokens that a caller has encoded.
void check_tokens(const MaskedTokens& tokens, std::int64_t vocab_size) {
  if (tokens.ids.size() != tokens.is_target.size())
    throw Error(ErrorKind::format,
                fmt::format("expected a loss mask of the {} tokens, got one of {}",
                            tokens.ids.size(), tokens.is_target.size()));
  for (const std::int32_t id : tokens.ids)
    if (id < 0 || id >= vocab_size)
      throw Error(ErrorKind::format, fmt::format("expected token ids of the model, 0..{}, got {}",
                                                 vocab_size - 1, id));
}

std::uint64_t hash_of(const MaskedTokens& tokens, std::uint64_t seed) {
  std::vector<std::int32_t> words = tokens.ids;
  words.insert(words.end(), tokens.is_target.begin(), tokens.is_target.end());
  return XXH3_64bits_withSeed(words.data(), words.size() * sizeof(words[0]), seed);
}

void cut(MaskedTokens& tokens, std::int64_t max_seq_len) {
  tokens.full_length = std::ssize(tokens.ids);
  const auto n = static_cast<std::size_t>(std::min(tokens.full_length, max_seq_len));
  tokens.ids.resize(n);
  tokens.is_target.resize(n);
}

}  // namespace

std::int64_t MaskedTokens::n_targets() const {
  if (is_target.empty()) return 0;
  return std::count(is_target.begin() + 1, is_target.end(), true);
}

bool EncodedExample::is_usable(Objective objective) const {
  if (!unmapped.empty() || text.n_targets() == 0) return false;
  return objective != Objective::orpo || rejected.n_targets() > 0;
}

struct Dataset::Files {
  DataOptions options;
  std::optional<ExampleEncoder> encoder = {};  ///< empty if the examples are tokens
  std::vector<EncodedExample> tokens = {};     ///< the examples that are tokens
  std::vector<RecordFile> records = {};
  std::vector<std::size_t> first = {};      ///< the index of the first example of each file
  std::vector<ExampleForm> forms = {};      ///< of each example
  std::vector<DataFile> descriptions = {};  ///< of each file

  std::size_t file_of(std::size_t example) const {
    return static_cast<std::size_t>(std::ranges::upper_bound(first, example) - first.begin()) - 1;
  }
  std::string place_of(std::size_t example) const {
    if (!encoder) return fmt::format("{}[{}]", descriptions.front().path, example);
    const std::size_t file = file_of(example);
    return records[file].place(example - first[file]);
  }
  Json json(std::size_t example) const {
    const std::size_t file = file_of(example);
    return records[file].json(example - first[file]);
  }
  void open(std::span<const std::string> paths);
  void check(std::size_t file);
};

void Dataset::Files::open(std::span<const std::string> paths) {
  std::size_t n = 0;
  for (const std::string& path : paths) {
    first.push_back(n);
    records.push_back(RecordFile::open(path));
    n += records.back().size();
    if (n > std::numeric_limits<std::uint32_t>::max())
      throw Error(
          ErrorKind::format,
          fmt::format("{}: expected at most 4294967295 examples, got more", printable_path(path)));
  }
  forms.resize(n);
  for (std::size_t file = 0; file < records.size(); ++file) check(file);
  if (n == 0)
    throw Error(ErrorKind::format,
                fmt::format("{}: expected at least one example, got none",
                            paths.empty() ? "data" : printable_path(paths.front())));
  const bool has_chat =
      std::ranges::any_of(forms, [](ExampleForm form) { return form != ExampleForm::text; });
  if (has_chat) encoder->expect_chat_tokens();
}

void Dataset::Files::check(std::size_t file) {
  const RecordFile& record = records[file];
  std::atomic<std::uint64_t> hash = 0;
  for_each_example(record.size(), [&](std::size_t i) {
    const std::string text = record.text(i), place = record.place(i);
    at_place(place, [&] {
      const Json row = parse_json(text, place);
      forms[first[file] + i] = detected_form(row, options.objective);
      read_example(row, forms[first[file] + i]);
    });
    hash += XXH3_64bits_withSeed(text.data(), text.size(), i);
  });
  descriptions.push_back({record.name(), record.size_bytes(), record.size(), hash});
}

Dataset Dataset::open(std::span<const std::string> paths, const Vocabulary& vocabulary,
                      const JinjaTemplate& chat_template, const DataOptions& options) {
  auto files =
      std::make_shared<Files>(Files{options, ExampleEncoder(vocabulary, chat_template, options)});
  files->open(paths);
  return Dataset(std::move(files));
}

Dataset Dataset::of_tokens(std::vector<EncodedExample> examples, const std::string& name,
                           std::int64_t vocab_size, const DataOptions& options) {
  auto files = std::make_shared<Files>(Files{options});
  DataFile description{.path = name, .n_examples = examples.size()};
  files->descriptions.push_back(description);
  if (examples.empty())
    throw Error(ErrorKind::format,
                fmt::format("{}: expected at least one example, got none", name));
  for (std::size_t i = 0; i < examples.size(); ++i)
    at_place(files->place_of(i), [&] {
      for (MaskedTokens* text : {&examples[i].text, &examples[i].rejected}) {
        check_tokens(*text, vocab_size);
        description.bytes += text->ids.size() * sizeof(std::int32_t);
        description.hash += hash_of(*text, 2 * i + (text == &examples[i].rejected ? 1 : 0));
        cut(*text, options.max_seq_len);
      }
    });
  files->descriptions.front() = description;
  files->tokens = std::move(examples);
  return Dataset(std::move(files));
}

std::size_t Dataset::size() const {
  if (is_part_) return part_.size();
  return has_vocabulary() ? files_->forms.size() : files_->tokens.size();
}
const DataOptions& Dataset::options() const { return files_->options; }
bool Dataset::has_vocabulary() const { return files_->encoder.has_value(); }
const Vocabulary& Dataset::vocabulary() const { return files_->encoder.value().vocabulary(); }
std::span<const DataFile> Dataset::files() const { return files_->descriptions; }

std::size_t Dataset::in_files(std::size_t index) const {
  return is_part_ ? part_.at(index) : index;
}

std::string Dataset::place_of(std::size_t index) const { return files_->place_of(in_files(index)); }

EncodedExample Dataset::encode(std::size_t index) const {
  const std::size_t example = in_files(index);
  if (!has_vocabulary()) return files_->tokens.at(example);
  return at_place(files_->place_of(example), [&] {
    return files_->encoder->encode(read_example(files_->json(example), files_->forms.at(example)));
  });
}

std::string_view Dataset::form_of(std::size_t index) const {
  return has_vocabulary() ? name_of(files_->forms.at(in_files(index))) : "tokens";
}

std::pair<Dataset, Dataset> Dataset::split(double share, std::uint64_t seed) const {
  const auto n =
      static_cast<std::size_t>(std::max(1.0, std::round(share * static_cast<double>(size()))));
  if (!(share > 0 && share < 1) || n >= size())
    throw Error(ErrorKind::invalid_argument,
                fmt::format("val-split: expected a share that leaves examples in both parts of {}, "
                            "got {}",
                            size(), share));
  std::vector<std::uint32_t> order = shuffled_order(size(), seed, kSplitEpoch);
  const auto middle = order.begin() + static_cast<std::ptrdiff_t>(n);
  std::sort(order.begin(), middle);
  std::sort(middle, order.end());
  for (std::uint32_t& index : order) index = static_cast<std::uint32_t>(in_files(index));
  Dataset training(files_), validation(files_);
  training.is_part_ = validation.is_part_ = true;
  validation.part_.assign(order.begin(), middle);
  training.part_.assign(middle, order.end());
  return {std::move(training), std::move(validation)};
}

}  // namespace bitaxon
