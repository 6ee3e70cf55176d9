#include "training/data/data_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <string_view>

#include "formats/json.h"
#include "platform/printable.h"

namespace bitaxon {
namespace {

std::string line_of(std::string_view what, std::string_view value) {
  return fmt::format("{:<14}{}\n", what, value);
}

/// Printable text that keeps its line feeds.
std::string printable_lines(std::string_view text) {
  std::string lines;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    if (at > 0) lines += '\n';
    lines += printable(text.substr(at, end - at), text.size() * 8 + 64);
    at = end + 1;
  }
  return lines;
}

/// The marks around targets.
struct Marks {
  std::string_view begin, end;
};
constexpr Marks kColours{"\033[32m", "\033[0m"}, kPlain{"{+", "+}"};

/// Tokens as text, with marks around the targets.
std::string marked_text(const MaskedTokens& tokens, const Vocabulary& vocabulary,
                        const Marks& marks) {
  std::string out;
  const std::size_t n = tokens.ids.size();
  for (std::size_t begin = 0, end = 0; begin < n; begin = end) {
    const bool is_target = begin > 0 && tokens.is_target[begin];
    for (end = begin + 1; end < n && tokens.is_target[end] == is_target; ++end) continue;
    const std::string text =
        printable_lines(vocabulary.decode(std::span(tokens.ids).subspan(begin, end - begin)));
    out += is_target ? fmt::format("{}{}{}", marks.begin, text, marks.end) : text;
  }
  return out;
}

std::string share_text(std::int64_t count, std::int64_t all) {
  return fmt::format("{} of {}", count, all);
}

}  // namespace

std::string survey_text(const DataSurvey& survey, const DataOptions& options) {
  std::string out;
  for (const DataFile& file : survey.files)
    out += line_of("data", fmt::format("{} ({}, {} examples)", printable_path(file.path),
                                       bytes_text(file.bytes), file.n_examples));
  std::string forms;
  for (const auto& [form, count] : survey.forms)
    forms += fmt::format("{}{} {}", forms.empty() ? "" : ", ", count, form);
  out += line_of("examples", fmt::format("{} ({})", survey.n_examples, forms));
  return out + counts_text(survey, options);
}

std::string counts_text(const DataSurvey& survey, const DataOptions& options) {
  std::string out;
  if (survey.n_surveyed < survey.n_examples)
    out +=
        line_of("sample", fmt::format("{} examples were counted; the numbers below are estimates",
                                      survey.n_surveyed));
  out += line_of("longer",
                 fmt::format("{} than {} tokens, cut", share_text(survey.n_cut, survey.n_examples),
                             options.max_seq_len));
  const bool is_orpo = options.objective == Objective::orpo;
  if (survey.n_without_targets > 0)
    out += line_of("left out",
                   fmt::format("{}: {}", share_text(survey.n_without_targets, survey.n_examples),
                               is_orpo ? "an answer was cut off" : "nothing is left to learn"));
  if (survey.n_unmapped > 0)
    out += line_of("left out", fmt::format("{}: tokens that the model does not have",
                                           share_text(survey.n_unmapped, survey.n_examples)));
  out +=
      line_of("tokens", fmt::format("{}, {} of them targets", survey.n_tokens, survey.n_targets));
  out += line_of("lengths",
                 fmt::format("median {}, 90 % at most {}, longest {}", survey.lengths.median,
                             survey.lengths.percentile_90, survey.lengths.max));
  return out;
}

Json survey_json(const DataSurvey& survey) {
  Json files = Json::array(), forms = Json::object();
  for (const DataFile& file : survey.files)
    files.push_back({{"path", printable_path(file.path)},
                     {"bytes", file.bytes},
                     {"examples", file.n_examples},
                     {"hash", fmt::format("{:016x}", file.hash)}});
  for (const auto& [form, count] : survey.forms) forms[form] = count;
  return {{"files", std::move(files)},
          {"forms", std::move(forms)},
          {"examples", survey.n_examples},
          {"surveyed", survey.n_surveyed},
          {"usable", survey.n_usable},
          {"cut", survey.n_cut},
          {"without_targets", survey.n_without_targets},
          {"unmapped", survey.n_unmapped},
          {"tokens", survey.n_tokens},
          {"targets", survey.n_targets},
          {"lengths",
           {{"median", survey.lengths.median},
            {"percentile_90", survey.lengths.percentile_90},
            {"max", survey.lengths.max}}}};
}

std::string example_text(const Dataset& data, std::size_t index, bool colour) {
  const Marks& marks = colour ? kColours : kPlain;
  const EncodedExample example = data.encode(index);
  const auto text = [&](std::string_view title, const MaskedTokens& tokens) {
    return fmt::format("{}{}, {} tokens, targets {}{}{}:\n{}\n", data.place_of(index), title,
                       tokens.ids.size(), marks.begin, colour ? "in colour" : "", marks.end,
                       marked_text(tokens, data.vocabulary(), marks));
  };
  if (data.options().objective != Objective::orpo) return text("", example.text);
  return text(" (chosen)", example.text) + text(" (rejected)", example.rejected);
}

}  // namespace bitaxon
