#include "training/data/prepare.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <set>
#include <utility>

#include "bitaxon/error.h"
#include "formats/json.h"
#include "platform/file.h"
#include "platform/printable.h"
#include "training/data/order.h"
#include "training/data/record_file.h"

namespace bitaxon {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kPlaces = 3;  ///< places that a refusal names

void refuse_own_input(std::span<const fs::path> inputs, const fs::path& output) {
  for (const fs::path& input : inputs) {
    std::error_code error;
    if (fs::equivalent(input, output, error))
      throw Error(ErrorKind::invalid_argument,
                  fmt::format("output {}: expected another file than the input",
                              printable_path(output.string())));
  }
}

/// A row with an instruction, an input and an output, without further keys.
Json alpaca_row_of(const Json& row) {
  Json input = row.value("input", Json(""));
  if (input.is_null()) input = "";
  return {{"instruction", row.at("instruction")},
          {"input", std::move(input)},
          {"output", row.at("output")}};
}

/// The number of messages of a row in a canonical form.
std::int64_t turns_of(const Json& row) {
  std::int64_t n = 0;
  for (const char* key : {"messages", "prompt", "chosen"})
    if (row.contains(key)) n += static_cast<std::int64_t>(row.at(key).size());
  return row.contains("output") ? 2 : n;
}

/// A row of the inputs.
struct Row {
  const RecordFile* file;
  std::size_t index;
};

/// The first rows of all files, at most `limit`.
std::vector<Row> rows_of(std::span<const RecordFile> files, std::optional<std::int64_t> limit) {
  std::vector<Row> rows;
  for (const RecordFile& file : files)
    for (std::size_t i = 0; i < file.size(); ++i) {
      if (limit && rows.size() >= static_cast<std::size_t>(*limit)) return rows;
      rows.push_back({&file, i});
    }
  return rows;
}

/// The form of a row. Of a pair of answers, forms of one answer take the chosen one.
ExampleForm form_of(const Json& row, CanonicalForm to) {
  const auto has = [&](const char* key) { return row.is_object() && row.contains(key); };
  const bool is_only_a_pair =
      has("chosen") && has("rejected") && !has("messages") && !has("conversations");
  const bool wants_pair = to == CanonicalForm::orpo || is_only_a_pair;
  return detected_form(row, wants_pair ? Objective::orpo : Objective::sft);
}

/// The row in the form to write. Throws Error(format); the message begins with `name`, or has no
/// place.
Json converted(const Row& row, const PrepareOptions& options, const std::string& name) {
  const Json json = parse_json(row.file->text(row.index), name);
  const ExampleForm form = options.from ? *options.from : form_of(json, options.to);
  const Example example = read_example(json, form);
  if (form == ExampleForm::alpaca && options.to == CanonicalForm::alpaca)
    return alpaca_row_of(json);
  return canonical_row(example, options.to);
}

/// Collects what is refused, by reason.
class Refusals {
 public:
  void add(const Error& error, const std::string& place) {
    std::string_view what = error.what();
    if (what.starts_with(place)) what.remove_prefix(std::min(what.size(), place.size() + 2));
    // What was found differs from row to row, as does the byte of broken JSON.
    std::string reason(what.substr(0, what.find(", got ")));
    if (const std::size_t at = reason.find("not JSON"); at != reason.npos) reason = "not JSON";
    Refusal& refusal = by_reason_[reason];
    refusal.reason = reason;
    ++refusal.count;
    if (refusal.places.size() < kPlaces)
      refusal.places.push_back(fmt::format("{}: {}", place, what));
  }
  std::vector<Refusal> sorted() const {
    std::vector<Refusal> all;
    for (const auto& [reason, refusal] : by_reason_) all.push_back(refusal);
    std::ranges::stable_sort(all, std::greater<>(), &Refusal::count);
    return all;
  }

 private:
  std::map<std::string, Refusal> by_reason_;
};

/// Says how far the work is, and whether it goes on.
class Progress {
 public:
  Progress(const std::function<void(double)>& tell, const std::atomic<bool>* interrupted)
      : tell_(tell), interrupted_(interrupted) {}
  bool goes_on(double share) const {
    if (tell_) tell_(share);
    return interrupted_ == nullptr || !*interrupted_;
  }

 private:
  const std::function<void(double)>& tell_;
  const std::atomic<bool>* interrupted_;
};

double share(std::size_t done, std::size_t all) {
  return static_cast<double>(done) / static_cast<double>(all);
}

/// Checks the rows and returns those to write. Empty if the work was interrupted.
std::optional<std::vector<Row>> kept_rows(std::span<const Row> rows, const PrepareOptions& options,
                                          PrepareReport& report, const Progress& progress) {
  std::vector<Row> kept;
  Refusals refusals;
  std::set<std::pair<std::uint64_t, std::uint64_t>> seen;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (!progress.goes_on(share(i, 2 * rows.size()))) return std::nullopt;
    const std::string place = rows[i].file->place(rows[i].index);
    try {
      const Json row = converted(rows[i], options, place);
      const std::string line = row.dump();
      const XXH128_hash_t hash = XXH3_128bits(line.data(), line.size());
      if (!seen.emplace(hash.low64, hash.high64).second) {
        ++report.n_duplicates;
        continue;
      }
      kept.push_back(rows[i]);
      report.n_turns += turns_of(row);
      report.max_turns = std::max(report.max_turns, turns_of(row));
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::format) throw;
      refusals.add(error, place);
      ++report.n_refused;
    }
  }
  report.n_read = static_cast<std::int64_t>(rows.size());
  report.refusals = refusals.sorted();
  return kept;
}

/// Which of `n` rows are written to the file for validation.
std::vector<bool> validation_rows(std::size_t n, const PrepareOptions& options) {
  std::vector<bool> chosen(n, false);
  if (options.val_share == 0) return chosen;
  const auto wanted = static_cast<std::size_t>(
      std::max(1.0, std::round(options.val_share * static_cast<double>(n))));
  if (!(options.val_share > 0 && options.val_share < 1) || wanted >= n)
    throw Error(ErrorKind::invalid_argument,
                fmt::format("val-split: expected a share that leaves rows in both parts of {}, got "
                            "{}",
                            n, options.val_share));
  const std::vector<std::uint32_t> order = shuffled_order(n, options.seed, kSplitEpoch);
  for (std::size_t i = 0; i < wanted; ++i) chosen[order[i]] = true;
  return chosen;
}

/// A file of lines that appears when it is complete.
class LineFile {
 public:
  explicit LineFile(const fs::path& path) : file_(path) {}
  void add(std::string_view line) {
    pending_.append(line).append("\n");
    if (pending_.size() >= kAtOnce) flush();
  }
  void commit() {
    flush();
    file_.commit();
  }

 private:
  static constexpr std::size_t kAtOnce = std::size_t{1} << 20;

  void flush() {
    file_.write(pending_);
    pending_.clear();
  }
  AtomicFile file_;
  std::string pending_;
};

void expect_rows(std::span<const fs::path> inputs, const std::vector<Row>& kept,
                 const PrepareReport& report) {
  if (!kept.empty()) return;
  std::string name = inputs.empty() ? "" : printable_path(inputs.front().string());
  if (inputs.size() > 1) name += fmt::format(" and {} more", inputs.size() - 1);
  const std::string first =
      report.refusals.empty() ? "" : "; " + report.refusals.front().places.front();
  throw Error(ErrorKind::format, fmt::format("{}: expected at least one row to write, got none of "
                                             "{}{}",
                                             name, report.n_read, first));
}

}  // namespace

std::optional<PrepareReport> prepare(std::span<const fs::path> inputs, const fs::path& output,
                                     const fs::path& validation, const PrepareOptions& options,
                                     const std::function<void(double)>& on_progress,
                                     const std::atomic<bool>* interrupted) {
  const bool splits = options.val_share != 0;
  refuse_own_input(inputs, output);
  if (splits) refuse_own_input(inputs, validation);
  std::vector<RecordFile> files;
  for (const fs::path& input : inputs) files.push_back(RecordFile::open(input));
  const std::vector<Row> rows = rows_of(files, options.limit);

  const Progress progress(on_progress, interrupted);
  PrepareReport report;
  const std::optional<std::vector<Row>> kept = kept_rows(rows, options, report, progress);
  if (!kept) return std::nullopt;
  expect_rows(inputs, *kept, report);
  const std::vector<bool> for_validation = validation_rows(kept->size(), options);

  LineFile training_file(output);
  std::optional<LineFile> validation_file;
  if (splits) validation_file.emplace(validation);
  for (std::size_t i = 0; i < kept->size(); ++i) {
    if (!progress.goes_on(0.5 + share(i, 2 * kept->size()))) return std::nullopt;
    const Json row = converted((*kept)[i], options, "row");
    (for_validation[i] ? *validation_file : training_file).add(row.dump());
    ++(for_validation[i] ? report.n_validation : report.n_written);
  }
  if (validation_file) validation_file->commit();
  training_file.commit();
  return report;
}

}  // namespace bitaxon
