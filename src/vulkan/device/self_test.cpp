#include "vulkan/device/self_test.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>
#include <string_view>
#include <vector>

#include "bitaxon/error.h"
#include "bitaxon/ops.h"
#include "core/half.h"
#include "core/mix64.h"
#include "core/plan.h"
#include "core/step.h"
#include "formats/nf4_codebook.h"
#include "formats/weight_format.h"
#include "platform/printable.h"

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
/// The largest relative error of an exact product.
constexpr double kExactTolerance = 1e-5;

/// Generates pseudorandom numbers in [-1, 1). The numbers are the same in every run.
class Numbers {
 public:
  float next() {
    return static_cast<float>(static_cast<std::int32_t>(mix64(count_++) >> 32)) * 0x1p-31F;
  }

 private:
  std::uint64_t count_ = 0;
};

/// A synthetic weight in a form that a checkpoint may contain.
struct TestWeight {
  WeightDesc desc;
  std::vector<std::byte> data, scales, biases;

  WeightParts parts() const {
    WeightParts parts{.data = data, .scales = scales, .biases = biases};
    if (desc.format == WeightFormat::codebook)
      parts.quant_map = std::as_bytes(std::span(kNf4Codebook));
    return parts;
  }
};

std::vector<std::byte> random_floats(DType dtype, std::uint64_t size_bytes, Numbers& numbers) {
  std::vector<std::byte> bytes(static_cast<std::size_t>(size_bytes));
  for (std::size_t at = 0; at < bytes.size(); at += size_of(dtype)) {
    const float value = numbers.next();
    const std::uint16_t half = dtype == DType::f16 ? f32_to_f16(value) : f32_to_bf16(value);
    if (dtype == DType::f32)
      std::memcpy(bytes.data() + at, &value, sizeof(value));
    else
      std::memcpy(bytes.data() + at, &half, sizeof(half));
  }
  return bytes;
}

std::vector<std::byte> random_codes(std::uint64_t size_bytes, Numbers& numbers) {
  std::vector<std::byte> bytes(static_cast<std::size_t>(size_bytes));
  for (std::byte& byte : bytes)
    byte = static_cast<std::byte>(static_cast<int>(128 + 128 * numbers.next()));
  return bytes;
}

TestWeight random_weight(WeightFormat format, DType dtype, std::int64_t n_cols, Numbers& numbers) {
  TestWeight weight;
  WeightDesc& desc = weight.desc;
  desc.name = "self-test";
  desc.format = format;
  desc.rows = kOuts;
  desc.cols = n_cols;
  desc.dtype = desc.bias_dtype = dtype;
  const bool dense = format == WeightFormat::dense;
  if (!dense) desc.group_size = 32;
  const PartBytes bytes = part_bytes(desc);
  weight.data =
      dense ? random_floats(dtype, bytes.data, numbers) : random_codes(bytes.data, numbers);
  weight.scales = random_floats(dtype, bytes.scales, numbers);
  weight.biases = random_floats(dtype, bytes.biases, numbers);
  return weight;
}

/// The product of the weight and the first `n_valid` of `n_rows` rows.
std::vector<float> multiply(Backend& backend, const std::shared_ptr<const Weight>& weight,
                            const std::vector<float>& x, std::int64_t n_rows, std::uint32_t n_valid,
                            Precision precision) {
  auto graph = std::make_shared<Graph>();
  graph->set_label("self-test");
  const Tensor input = graph->input(DType::f32, {n_rows, weight->shape[2]});
  const Tensor y = linear(input, graph->weight(weight));
  graph->mark_output(y);
  const auto plan = schedule(graph, *backend.description());
  const Buffer arena = backend.allocate(plan->arena_bytes, BufferUse::activations);
  const auto place = [&](const Tensor& tensor) {
    return plan->values[static_cast<std::size_t>(tensor.id())].offset_bytes;
  };
  backend.upload(arena, place(input), std::as_bytes(std::span(x)));
  const Executable executable =
      backend.compile(plan, {.arena = arena,
                             .state = {},
                             .precision = precision,
                             .state_layout = std::make_shared<const StateLayout>()});
  StepBuffer step;
  step.n_rows = n_valid;
  step.n_segments = 1;
  step.segments[0].n_rows = n_valid;
  backend.wait(backend.submit(executable, step));
  std::vector<float> result(n_valid * static_cast<std::size_t>(kOuts));
  backend.download(arena, place(y), std::as_writable_bytes(std::span(result)));
  return result;
}

/// The size of the difference, relative to the size of `expected` (L2). NaN if a number is NaN.
double relative_error(const std::vector<float>& actual, const std::vector<float>& expected) {
  double error = 0;
  double norm = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const double difference = static_cast<double>(actual[i]) - static_cast<double>(expected[i]);
    error += difference * difference;
    norm += static_cast<double>(expected[i]) * static_cast<double>(expected[i]);
  }
  return std::sqrt(error / norm);
}

/// Compares the fast product of this weight with the exact product. Returns a description of the
/// difference, or an empty string if both products agree.
std::string problem_with(Backend& backend, const TestWeight& stored, Numbers& numbers) {
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

TestWeight random_codes_of(int bits, Numbers& numbers) {
  TestWeight weight = random_weight(WeightFormat::affine, DType::f16, kCodeCols, numbers);
  if (bits == weight.desc.bits) return weight;
  weight.desc.bits = bits;
  weight.data = random_codes(part_bytes(weight.desc).data, numbers);
  return weight;
}

/// Compares the products of few rows, in both precisions, with sums of decoded weights.
std::string problem_with_few_rows(Backend& backend, const TestWeight& stored, std::uint32_t n_rows,
                                  Numbers& numbers) {
  constexpr auto kCols = static_cast<std::size_t>(kCodeCols);
  const auto weight = backend.pack(stored.desc, stored.parts());
  std::vector<float> values(static_cast<std::size_t>(kOuts) * kCols);
  decode(stored.desc, stored.parts(), 0, values);
  std::vector<float> x(n_rows * kCols);
  for (float& value : x) value = numbers.next();
  std::vector<float> expected;
  for (std::size_t row = 0; row < n_rows; ++row)
    for (std::size_t out = 0; out < static_cast<std::size_t>(kOuts); ++out) {
      double sum = 0;
      for (std::size_t c = 0; c < kCols; ++c)
        sum +=
            static_cast<double>(values[out * kCols + c]) * static_cast<double>(x[row * kCols + c]);
      expected.push_back(static_cast<float>(sum));
    }
  for (const Precision precision : {Precision::exact, Precision::fast}) {
    const double relative =
        relative_error(multiply(backend, weight, x, n_rows, n_rows, precision), expected);
    const double most = precision == Precision::exact ? kExactTolerance : kTolerance;
    if (!(relative <= most))
      return fmt::format(
          "products are off by {:.2g} (relative L2) for {} and {} rows, at most {:.2g} is expected",
          relative, stored.desc.format_name(), n_rows, most);
  }
  return "";
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
    const TestWeight weight = random_weight(form.format, form.dtype, form.n_cols, numbers);
    if (auto problem = problem_with(backend, weight, numbers); !problem.empty()) return problem;
  }
  return "";
}

std::string few_rows_problem(Backend& backend) {
  Numbers numbers;
  for (const int bits : {4, 8}) {
    const TestWeight weight = random_codes_of(bits, numbers);
    for (const std::uint32_t n_rows : {1U, 4U})
      if (auto problem = problem_with_few_rows(backend, weight, n_rows, numbers); !problem.empty())
        return problem;
  }
  return "";
}

std::string problem_of_variant(Backend& backend, const char* variant, std::string (*test)(Backend&),
                               const PipelineCache& notes, const Failure& failure) {
  std::string note(variant);
  std::ranges::replace(note, ' ', '-');
  if (const auto known = result_in(notes.read_note(note)))
    return known->empty() ? *known
                          : fmt::format("{} ({} in the cache folder keeps this result)", *known,
                                        notes.note_file(note).filename().string());
  try {
    std::string found = test(backend);
    notes.write_note(note, note_of(found));
    return found;
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::internal) throw;
    // If the test has lost the device, this run cannot go on, and the note keeps later runs from
    // testing. After any other error, no note is written, so the next run tests again.
    if (failure.happened()) notes.write_note(note, note_of(error.what()));
    failure.check();
    return error.what();
  }
}

}  // namespace bitaxon::vulkan
