// Converts files of examples to one form.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "training/data/canonical_row.h"
#include "training/data/example.h"

namespace bitaxon {

struct PrepareOptions {
  std::optional<ExampleForm> from = {};  ///< of all rows; empty: by the keys of each row
  CanonicalForm to = CanonicalForm::messages;
  std::optional<std::int64_t> limit = {};  ///< rows to read, over all files
  double val_share = 0;                    ///< share of the rows that are written to `validation`
  std::uint64_t seed = 42;                 ///< decides which rows those are
};

/// Rows that were refused for one reason.
struct Refusal {
  std::string reason;
  std::int64_t count = 0;
  std::vector<std::string> places;  ///< file and line of the first ones
};

struct PrepareReport {
  std::int64_t n_read = 0, n_written = 0, n_validation = 0;
  std::int64_t n_refused = 0;
  std::int64_t n_duplicates = 0;  ///< rows that equal an earlier one; they are left out
  std::int64_t n_turns = 0;       ///< messages of all written rows
  std::int64_t max_turns = 0;     ///< most messages of a row
  std::vector<Refusal> refusals;  ///< the most frequent ones first
};

/// Reads files, converts their rows, and writes them as JSONL to `output` and, if val_share is not 0,
/// to `validation`. The files appear when they are complete. Rows that cannot be converted are left
/// out and reported. Returns nothing and writes nothing if `interrupted`, which may be null, was set.
/// Throws Error(io), Error(format) if no row is left, and Error(invalid_argument) if an output is one
/// of the inputs or if a part would be empty. `on_progress` receives the share that is done.
std::optional<PrepareReport> prepare(std::span<const std::filesystem::path> inputs,
                                     const std::filesystem::path& output,
                                     const std::filesystem::path& validation,
                                     const PrepareOptions& options,
                                     const std::function<void(double)>& on_progress = {},
                                     const std::atomic<bool>* interrupted = nullptr);

}  // namespace bitaxon
