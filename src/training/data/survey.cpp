// Counts what a data set holds.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <optional>

#include "bitaxon/error.h"
#include "platform/printable.h"
#include "training/data/dataset.h"
#include "training/data/each_example.h"

namespace bitaxon {
namespace {

/// A larger data set is counted by a sample: to encode all of it would take minutes.
constexpr std::uint64_t kAllBytes = std::uint64_t{100} << 20;
constexpr std::size_t kSample = 20'000;

/// What is counted of one example.
struct Counted {
  std::int64_t n_tokens = 0, n_targets = 0;
  std::int64_t full_length = 0, full_length_rejected = 0;
  std::optional<std::int32_t> unmapped;  ///< the first token that the model does not have
  bool is_cut = false, is_usable = false;
};

Counted counted(const EncodedExample& example, Objective objective) {
  Counted out;
  for (const MaskedTokens* tokens : {&example.text, &example.rejected}) {
    out.n_tokens += static_cast<std::int64_t>(tokens->ids.size());
    out.n_targets += tokens->n_targets();
    out.is_cut = out.is_cut || tokens->was_cut();
  }
  out.full_length = example.text.full_length;
  out.full_length_rejected = example.rejected.full_length;
  out.is_usable = example.is_usable(objective);
  if (!example.unmapped.empty()) out.unmapped = example.unmapped.front();
  return out;
}

Lengths lengths_of(std::vector<std::int64_t> lengths) {
  if (lengths.empty()) return {};
  std::ranges::sort(lengths);
  const auto at = [&](std::size_t percent) {
    return lengths[(lengths.size() - 1) * percent / 100];
  };
  return {at(50), at(90), lengths.back()};
}

DataSurvey summed(std::span<const Counted> examples, Objective objective) {
  DataSurvey out;
  std::vector<std::int64_t> lengths;
  for (const Counted& example : examples) {
    out.n_cut += example.is_cut;
    lengths.push_back(example.full_length);
    if (objective == Objective::orpo) lengths.push_back(example.full_length_rejected);
    if (example.unmapped) {
      ++out.n_unmapped;
    } else if (!example.is_usable) {
      ++out.n_without_targets;
    } else {
      ++out.n_usable;
      out.n_tokens += example.n_tokens;
      out.n_targets += example.n_targets;
    }
  }
  out.lengths = lengths_of(std::move(lengths));
  return out;
}

/// Scales the counts of a sample up.
void scale(DataSurvey& survey, double factor) {
  for (std::int64_t* count : {&survey.n_cut, &survey.n_usable, &survey.n_without_targets,
                              &survey.n_unmapped, &survey.n_tokens, &survey.n_targets})
    *count = std::llround(static_cast<double>(*count) * factor);
}

/// The examples to encode: all, or some at equal distances.
std::vector<std::size_t> sample_of(const Dataset& data) {
  std::uint64_t bytes = 0;
  for (const DataFile& file : data.files()) bytes += file.bytes;
  const bool all = bytes <= kAllBytes || data.size() <= kSample ||
                   (data.has_vocabulary() && data.vocabulary().is_mapped());
  std::vector<std::size_t> indices(all ? data.size() : kSample);
  std::iota(indices.begin(), indices.end(), std::size_t{0});
  if (!all)
    for (std::size_t& index : indices) index = index * data.size() / kSample;
  return indices;
}

/// Refuses tokens that the model does not have.
void refuse_unmapped(const Dataset& data, std::span<const std::size_t> indices,
                     std::span<const Counted> examples, std::int64_t n_unmapped) {
  const auto first = std::ranges::find_if(
      examples, [](const Counted& example) { return example.unmapped.has_value(); });
  if (first == examples.end()) return;
  const std::int32_t ids[] = {*first->unmapped};
  throw Error(
      ErrorKind::format,
      fmt::format("{}: token {} (\"{}\"): expected an image in the checkpoint's vocab_mapping, got "
                  "none, as in {} of {} examples; --unmapped skip leaves them out",
                  data.place_of(indices[static_cast<std::size_t>(first - examples.begin())]),
                  ids[0], printable(data.vocabulary().tokenizer().decode(ids), 40), n_unmapped,
                  examples.size()));
}

void refuse_without_targets(const Dataset& data, const DataSurvey& survey) {
  if (survey.n_usable > 0) return;
  throw Error(ErrorKind::format,
              fmt::format("{}: expected an example to learn from, got none: {} of {} examples have "
                          "no target within {} tokens, {} have tokens that the model does not have",
                          printable_path(data.files().front().path), survey.n_without_targets,
                          survey.n_surveyed, data.options().max_seq_len, survey.n_unmapped));
}

}  // namespace

DataSurvey Dataset::survey(const std::function<void(double)>& on_progress) const {
  const std::vector<std::size_t> indices = sample_of(*this);
  std::vector<Counted> examples(indices.size());
  for_each_example(
      indices.size(),
      [&](std::size_t i) { examples[i] = counted(encode(indices[i]), options().objective); },
      on_progress);
  DataSurvey out = summed(examples, options().objective);
  out.n_examples = static_cast<std::int64_t>(size());
  out.n_surveyed = static_cast<std::int64_t>(indices.size());
  out.files.assign(files().begin(), files().end());
  std::map<std::string_view, std::int64_t> forms;
  for (std::size_t i = 0; i < size(); ++i) ++forms[form_of(i)];
  out.forms.assign(forms.begin(), forms.end());
  if (options().unmapped == Unmapped::error)
    refuse_unmapped(*this, indices, examples, out.n_unmapped);
  refuse_without_targets(*this, out);
  scale(out, static_cast<double>(out.n_examples) / static_cast<double>(out.n_surveyed));
  return out;
}

}  // namespace bitaxon
