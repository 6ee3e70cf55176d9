#include "vulkan/device/self_test.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>
#include <string_view>
#include <vector>

#include "bitaxon/error.h"
#include "bitaxon/ops.h"
#include "platform/printable.h"
#include "vulkan/device/attempt.h"
#include "vulkan/device/trial.h"

namespace bitaxon::vulkan {
namespace {

// The number of valid rows is not a multiple of the rows of a tile, so that the last tile is only
// partly filled.
constexpr std::int64_t kRows = 128;
constexpr std::uint32_t kValidRows = 77;
/// Numbers of columns. A row of kCodeCols codes consists of whole groups. A row of kAlignedCols
/// floats is a multiple of 16 bytes, a row of kOddCols floats is not.
constexpr std::int64_t kCodeCols = 224;
constexpr std::int64_t kAlignedCols = 200;
constexpr std::int64_t kOddCols = 199;
constexpr std::int64_t kOuts = 144;
/// The largest relative error of a fast product. Both factors are rounded to 11 bits, so each
/// rounding changes a product by about 2^-11. The errors are independent, so they add in
/// quadrature.
constexpr double kTolerance = 2e-3;

/// Compares the fast product of this weight with the exact product. Returns a description of the
/// difference, or an empty string if both products agree.
std::string problem_with(Backend& backend, const TrialWeight& stored, Numbers& numbers) {
  const auto weight = backend.pack(stored.desc, stored.parts());
  std::vector<float> x(static_cast<std::size_t>(kRows * stored.desc.cols));
  for (float& value : x) value = numbers.next();
  const double relative =
      relative_error(multiply(backend, weight, x, kRows, kValidRows, Precision::fast),
                     multiply(backend, weight, x, kRows, kValidRows, Precision::exact));
  if (relative <= kTolerance) return "";  // the comparison is false for NaN
  return fmt::format(
      "products of halves are off by {:.2g} (relative L2) for {}, at most {:.2g} is expected",
      relative, stored.desc.format_name(), kTolerance);
}

/// Runs the graph in both precisions and compares the first `n` elements of its output.
std::string problem_with(Backend& backend, const char* what, const Trial& trial, std::size_t n) {
  const double relative = relative_error(run(backend, trial, Precision::fast, n),
                                         run(backend, trial, Precision::exact, n));
  if (relative <= kTolerance) return "";  // the comparison is false for NaN
  return fmt::format("{} in halves is off by {:.2g} (relative L2), at most {:.2g} is expected",
                     what, relative, kTolerance);
}

/// Attention of many rows, with keys before them.
std::string attention_problem(Backend& backend, Numbers& numbers) {
  constexpr std::int64_t kHeadDim = 64;
  constexpr std::uint32_t kBefore = 30;
  const AttentionForm form{.n_heads = 4, .n_kv_heads = 2};
  constexpr std::int64_t kPages = (kBefore + kValidRows + kPageRows - 1) / kPageRows;
  Trial trial;
  trial.layout.page_groups = {{.window = {}, .n_pages = kPages, .pages_per_slot = kPages}};
  for (const char* name : {"keys", "values"}) {
    trial.layout.add_pages(name, DType::f16, form.n_kv_heads * kHeadDim, 0);
    trial.state.push_back(
        random_floats(DType::f16, trial.layout.tensors.back().size_bytes, numbers));
  }
  const std::int64_t width = form.n_heads * kHeadDim;
  const auto q_bytes = static_cast<std::uint64_t>(kRows * width) * sizeof(float);
  const Tensor q =
      trial.input(DType::f32, {kRows, width}, random_floats(DType::f32, q_bytes, numbers));
  trial.set_output(
      attention(q, trial.graph->state(trial.layout, 0), trial.graph->state(trial.layout, 1), form));
  trial.set_rows(kValidRows);
  trial.step.segments[0].position = kBefore;
  std::vector<std::uint32_t> pages(kPages);
  std::iota(pages.begin(), pages.end(), 0U);
  TableWriter(trial.step, trial.step.segments[0], 1).set(0, 0, pages);
  return problem_with(backend, "attention", trial, kValidRows * static_cast<std::size_t>(width));
}

/// Both halves of experts, with many rows for each expert.
std::string experts_problem(Backend& backend, Numbers& numbers) {
  constexpr std::int64_t kExperts = 4;
  constexpr std::int64_t kTopK = 2;
  constexpr std::int64_t kIntermediate = 96;
  Trial trial;
  const auto weight = [&](std::int64_t rows, std::int64_t cols) {
    const TrialWeight stored = random_weight({.name = "self-test",
                                              .format = WeightFormat::affine,
                                              .n_matrices = kExperts,
                                              .rows = rows,
                                              .cols = cols,
                                              .dtype = DType::f16},
                                             numbers);
    return trial.graph->weight(backend.pack(stored.desc, stored.parts()));
  };
  const auto floats = [&](std::int64_t cols) {
    const auto bytes = static_cast<std::uint64_t>(kRows * cols) * sizeof(float);
    return trial.input(DType::f32, {kRows, cols}, random_floats(DType::f32, bytes, numbers));
  };
  std::vector<std::int32_t> chosen;
  for (std::int32_t row = 0; row < kRows; ++row)
    for (const std::int32_t expert : {row % 4, (row + 1 + row / 4 % 3) % 4})
      chosen.push_back(expert);
  const auto bytes = std::as_bytes(std::span(chosen));
  const Tensor experts = trial.input(DType::i32, {kRows, kTopK}, {bytes.begin(), bytes.end()});
  const Tensor x = floats(kCodeCols);
  const Tensor act = moe_swiglu(x, experts,
                                {.gate = weight(kIntermediate, kCodeCols),
                                 .up = weight(kIntermediate, kCodeCols),
                                 .shared_gate = {},
                                 .shared_up = {}});
  trial.set_output(
      moe_down(act, experts, floats(kTopK + 1), weight(kCodeCols, kIntermediate), {}, x));
  trial.set_rows(kValidRows);
  return problem_with(backend, "a product of experts", trial,
                      kValidRows * static_cast<std::size_t>(kCodeCols));
}

/// A note is one whole line: "agree", or "failed: " and the problem.
constexpr std::string_view kAgree = "agree\n";
constexpr std::string_view kFailed = "failed: ";

std::string note_of(const std::string& problem) {
  return problem.empty() ? std::string(kAgree)
                         : fmt::format("{}{}\n", kFailed, printable(problem, 400));
}

/// The problem that a note names, or an empty string if the test agreed. A damaged note counts as
/// missing.
std::optional<std::string> result_in(std::string_view note) {
  if (note == kAgree) return "";
  if (!note.starts_with(kFailed) || note.find('\n') != note.size() - 1) return std::nullopt;
  return printable(note.substr(kFailed.size(), note.size() - kFailed.size() - 1), 400);
}

}  // namespace

std::string fast_product_problem(Backend& backend) {
  struct Form {
    WeightFormat format;
    DType dtype;
    std::int64_t n_cols;
  };
  Numbers numbers;
  for (const Form& form : {Form{WeightFormat::dense, DType::f16, kAlignedCols},
                           Form{WeightFormat::dense, DType::f16, kOddCols},
                           Form{WeightFormat::dense, DType::bf16, kAlignedCols},
                           Form{WeightFormat::dense, DType::f32, kAlignedCols},
                           Form{WeightFormat::affine, DType::f16, kCodeCols},
                           Form{WeightFormat::codebook, DType::f32, kCodeCols}}) {
    const TrialWeight weight = random_weight({.name = "self-test",
                                              .format = form.format,
                                              .rows = kOuts,
                                              .cols = form.n_cols,
                                              .dtype = form.dtype},
                                             numbers);
    if (auto problem = problem_with(backend, weight, numbers); !problem.empty()) return problem;
  }
  if (auto problem = experts_problem(backend, numbers); !problem.empty()) return problem;
  return attention_problem(backend, numbers);
}

std::string problem_of_variant(const char* variant, const std::function<std::string()>& test,
                               const PipelineCache& notes, const Failure& failure) {
  std::string note(variant);
  std::ranges::replace(note, ' ', '-');
  if (const auto known = result_in(notes.read_note(note)))
    return known->empty() ? *known
                          : fmt::format("{} ({} in the cache folder keeps this result)", *known,
                                        notes.note_file(note).filename().string());
  const Attempt attempt(notes, "self-test", note);
  if (!attempt.refusal().empty()) return attempt.refusal();
  try {
    std::string found = test();
    attempt.end();
    notes.write_note(note, note_of(found));
    return found;
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::internal) throw;
    // If the test has lost the device, this run cannot go on, and the note keeps later runs from
    // testing. After any other error, no note is written, so the next run tests again.
    attempt.end();
    if (failure.happened()) notes.write_note(note, note_of(error.what()));
    failure.check();
    return error.what();
  }
}

}  // namespace bitaxon::vulkan
