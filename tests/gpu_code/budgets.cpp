#include "gpu_code/budgets.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <map>
#include <sstream>

#include "bitaxon/error.h"
#include "platform/file.h"
#include "platform/printable.h"

namespace bitaxon::gpu_code {
namespace {

constexpr std::array kFigures = {"crashes", "spilled",    "scratch",     "waves",      "loop",
                                 "all_in",  "efficiency", "conversions", "per_matrix", "per_row"};
/// Those that need the machine code.
constexpr std::array kCountedFigures = {"loop",        "all_in",     "efficiency",
                                        "conversions", "per_matrix", "per_row"};
constexpr std::size_t kNames = 4;  // columns before the bounds

[[noreturn]] void refuse(const std::string& name, int line, const std::string& problem) {
  throw Error(ErrorKind::format, fmt::format("{}:{}: {}", printable(name), line, problem));
}

bool matches(std::string_view pattern, std::string_view text) {
  if (pattern.ends_with('*')) return text.starts_with(pattern.substr(0, pattern.size() - 1));
  return pattern == text;
}

std::optional<double> number_of(const std::string& word) {
  double value = 0;
  const char* end = word.data() + word.size();
  const auto [at, error] = std::from_chars(word.data(), end, value);
  return error == std::errc() && at == end && std::isfinite(value) ? std::optional(value)
                                                                   : std::nullopt;
}

Budget parse_line(const std::vector<std::string>& words, const Budgets& so_far, int line) {
  const std::string& name = so_far.name;
  if (words.size() != kNames + so_far.families.size())
    refuse(name, line,
           fmt::format("expected figure, kernel, format, rows and {} bounds, got {} words",
                       so_far.families.size(), words.size()));
  if (std::ranges::find(kFigures, words[0]) == kFigures.end())
    refuse(name, line,
           fmt::format("figure: expected one of {}, got {}", fmt::join(kFigures, ", "),
                       printable(words[0])));
  if (words[3] != "*" && !number_of(words[3]))
    refuse(name, line, fmt::format("rows: expected a number or *, got {}", printable(words[3])));
  Budget budget{.figure = words[0],
                .kernel = words[1],
                .format = words[2],
                .rows = words[3],
                .bounds = {},
                .line = line};
  for (std::size_t i = kNames; i < words.size(); ++i) {
    const std::optional<double> bound = number_of(words[i]);
    if (!bound && words[i] != "-")
      refuse(name, line,
             fmt::format("{}: expected a number or -, got {}", so_far.families[i - kNames],
                         printable(words[i])));
    budget.bounds.push_back(bound);
  }
  return budget;
}

bool applies(const Budget& budget, const std::string& figure, const KernelFacts& facts) {
  return budget.figure == figure && matches(budget.kernel, facts.kernel) &&
         matches(budget.format, facts.format) && matches(budget.rows, std::to_string(facts.rows));
}

std::size_t column_of(const Budgets& budgets, const std::string& family) {
  const auto found = std::ranges::find(budgets.families, family);
  if (found == budgets.families.end())
    throw Error(ErrorKind::invalid_argument,
                fmt::format("{}: expected one of the families {}, got {}", printable(budgets.name),
                            fmt::join(budgets.families, ", "), printable(family)));
  return static_cast<std::size_t>(found - budgets.families.begin());
}

/// Whether the table has a line for this figure. Registers, spills and conversions have general bounds,
/// and no line for each kernel.
bool has_line(const std::string& figure, const KernelFacts& facts) {
  constexpr std::array kListed = {"loop", "all_in", "efficiency", "per_matrix", "per_row"};
  if (std::ranges::find(kListed, figure) == kListed.end()) return false;
  constexpr std::array kCommon = {"f16", "q4_g64", "q8_g64", "nf4_g64"};
  const std::string& format = facts.format;
  if (format == "mixed" || format.ends_with("_any")) return false;
  if (facts.kind == KernelKind::tile) return facts.rows >= 32;
  return facts.rows == 1 ||
         (facts.rows == 4 && std::ranges::find(kCommon, format) != kCommon.end());
}

std::string number_text(double value) {
  return value == std::floor(value) ? fmt::format("{:.0f}", value) : fmt::format("{:.3f}", value);
}

}  // namespace

Budgets parse_budgets(const std::string& text, const std::string& name) {
  Budgets budgets;
  budgets.name = name;
  std::istringstream lines(text);
  std::string line;
  for (int number = 1; std::getline(lines, line); ++number) {
    std::istringstream rest(line.substr(0, line.find('#')));
    std::vector<std::string> words;
    for (std::string word; rest >> word;) words.push_back(word);
    if (words.empty()) continue;
    if (words[0] == "driver") {
      budgets.driver = fmt::format("{}", fmt::join(words.begin() + 1, words.end(), " "));
    } else if (words[0] == "figure") {
      if (words.size() <= kNames)
        refuse(name, number, "expected the names of families after figure, kernel, format, rows");
      budgets.families.assign(words.begin() + kNames, words.end());
    } else if (budgets.families.empty()) {
      refuse(name, number, "expected a line that begins with \"figure\" before the first bounds");
    } else {
      budgets.lines.push_back(parse_line(words, budgets, number));
    }
  }
  if (budgets.lines.empty()) refuse(name, 1, "expected bounds, got none");
  return budgets;
}

Budgets read_budgets(const std::filesystem::path& path) {
  return parse_budgets(read_whole_file(path, std::uint64_t{1} << 20), path.string());
}

std::optional<double> Budgets::bound(const std::string& figure, const KernelFacts& facts,
                                     const std::string& family) const {
  const std::size_t column = column_of(*this, family);
  std::optional<double> bound;
  for (const Budget& budget : lines)
    if (applies(budget, figure, facts)) bound = budget.bounds[column];
  return bound;
}

bool Budgets::has_counts(const KernelFacts& facts) const {
  return std::ranges::any_of(families, [&](const std::string& family) {
    return std::ranges::any_of(kCountedFigures, [&](const char* figure) {
      return bound(figure, facts, family).has_value();
    });
  });
}

void need_bounds_for(const Budgets& budgets, const std::string& family, const std::string& driver) {
  column_of(budgets, family);
  if (!driver.starts_with(budgets.driver))
    throw Error(ErrorKind::unsupported,
                fmt::format("{}: expected the driver {}, got {}", printable(budgets.name),
                            budgets.driver, printable(driver)));
}

std::vector<std::string> exceeded(const Budgets& budgets, const FamilyCode& family,
                                  const std::vector<ReportRow>& rows) {
  need_bounds_for(budgets, family.family, family.driver);
  std::vector<std::string> problems;
  for (const ReportRow& row : rows)
    for (const auto& [figure, value] : row.figures) {
      const std::optional<double> bound = budgets.bound(figure, row.facts, family.family);
      if (!bound) continue;
      const bool is_low = smaller_is_worse(figure);
      if (is_low ? value >= *bound - 1e-9 : value <= *bound + 1e-9) continue;
      problems.push_back(fmt::format(
          "{} {}, {} row{}, {}: {} is {}, expected at {} {}", row.facts.kernel, row.facts.format,
          row.facts.rows, row.facts.rows == 1 ? "" : "s", family.family, figure, number_text(value),
          is_low ? "least" : "most", number_text(*bound)));
    }
  return problems;
}

std::vector<std::string> unmet(const Budgets& budgets, const FamilyCode& family,
                               const std::vector<ReportRow>& rows) {
  std::vector<std::string> problems;
  const std::size_t column = column_of(budgets, family.family);
  for (const Budget& budget : budgets.lines) {
    const bool is_met = std::ranges::any_of(rows, [&](const ReportRow& row) {
      return row.figures.contains(budget.figure) && applies(budget, budget.figure, row.facts);
    });
    if (!is_met && budget.bounds[column])
      problems.push_back(fmt::format("{}:{}: {} of {} {}: expected a pipeline on {}, found none",
                                     printable(budgets.name), budget.line, budget.figure,
                                     budget.kernel, budget.format, family.family));
  }
  return problems;
}

std::string as_budgets(const std::vector<FamilyCode>& families) {
  std::map<std::tuple<std::string, std::string, std::string, std::uint32_t>,
           std::vector<std::optional<double>>>
      lines;
  for (std::size_t k = 0; k < families.size(); ++k)
    for (const ReportRow& row : report_rows(families[k]))
      for (const auto& [figure, value] : row.figures) {
        if (!has_line(figure, row.facts)) continue;
        auto& bounds = lines[{figure, row.facts.kernel, row.facts.format, row.facts.rows}];
        bounds.resize(families.size());
        // Rounded so that the figure itself is within the bound.
        const double hundredths = smaller_is_worse(figure) ? std::floor(value * 100 + 1e-6)
                                                           : std::ceil(value * 100 - 1e-6);
        bounds[k] = hundredths / 100 + 0.0;  // the sum makes -0 a 0
      }
  std::string text;
  constexpr const char* kLine = "{:<11} {:<26} {:<9} {:>4}";
  text += fmt::format(fmt::runtime(kLine), "figure", "kernel", "format", "rows");
  for (const FamilyCode& family : families) text += fmt::format(" {:>9}", family.family);
  for (const auto& [key, bounds] : lines) {
    text += "\n" + fmt::format(fmt::runtime(kLine), std::get<0>(key), std::get<1>(key),
                               std::get<2>(key), std::get<3>(key));
    for (const auto& bound : bounds)
      text += fmt::format(" {:>9}", bound ? fmt::format("{:g}", *bound) : "-");
  }
  return text + "\n";
}

}  // namespace bitaxon::gpu_code
