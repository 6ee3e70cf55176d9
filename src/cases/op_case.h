// Op cases: inputs made from a seed, described without reference to a backend. Every backend runs
// the same cases, in tests and in the bench.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "bitaxon/ops.h"
#include "cases/compare.h"
#include "core/graph.h"
#include "core/state_layout.h"
#include "core/step.h"
#include "formats/weight_format.h"

namespace bitaxon::test {

/// A small random number generator. Its numbers do not depend on the standard library.
class Random {
 public:
  /// The seed is a text, such as the name of a case. So a new case does not change the numbers of
  /// other cases.
  explicit Random(std::string_view seed);
  std::uint64_t next();
  /// Returns a random number in [0, n).
  std::int64_t below(std::int64_t n);
  /// Returns a random number in [low, high).
  double uniform(double low, double high);
  /// Returns a uniformly distributed random number with mean 0 and root mean square `spread`.
  float centred(double spread) { return static_cast<float>(spread * uniform(-1.732, 1.732)); }

 private:
  std::uint64_t state_;
};

/// How a case stores a weight.
enum class Format : std::uint8_t {
  f32,
  f16,
  bf16,
  q4_g32,
  q4_g64,
  q4_g128,
  nf4_g64,     ///< if cols % 64 != 0, some blocks span two rows and the last block is short
  nf4_nested,  ///< NF4 whose absmax values are 8-bit codes
  /// No known file has blocks of 8 or 24 elements, but the format allows them. Such blocks do not
  /// fill a vector.
  nf4_g8,
  nf4_g24,
  q8_g32,
  q8_g64,
  q8_g128,
  q8_rows,  ///< one group for each row of any length, and a factor: loaded int8
  fp4_g64,  ///< NF4 with another table
  mxfp4,
  nvfp4,
  nvfp4_nested,  ///< with a scale for each matrix
};
inline constexpr Format kEveryFormat[] = {Format::f32,     Format::f16,        Format::bf16,
                                          Format::q4_g32,  Format::q4_g64,     Format::q4_g128,
                                          Format::q8_g64,  Format::q8_rows,    Format::mxfp4,
                                          Format::nf4_g64, Format::nf4_nested, Format::nvfp4};
std::string_view name_of(Format format);
/// Rows of this format have a multiple of this number of columns.
std::int64_t column_unit(Format format);

/// A weight in the form in which a file stores it.
struct CaseWeight {
  WeightDesc desc;
  std::vector<std::byte> data, scales, biases, quant_map, nested_scales, nested_quant_map;
  WeightParts parts() const;
};

struct CaseInput {
  DType dtype = DType::f32;
  Shape shape;
  RowSpace row_space = RowSpace::rows;
  std::vector<std::byte> bytes;  ///< the values of all rows of the bucket, valid or not
};

/// One sequence in the step of a case.
struct CaseSegment {
  std::uint32_t slot = 0;
  std::uint32_t n_rows = 1;
  std::uint32_t position = 0;
  std::uint32_t read_version = 0;
  std::uint32_t write_version = 1;
  bool ids_from_state = false;
  SamplerWords sampler{};
  /// The number of rows whose logits are computed. They are the last rows of the segment.
  std::uint32_t n_outputs = 1;
  /// Whether a token is sampled from the logits of the last row.
  bool samples = true;
  bool keeps_state = true;
  // Numbers for the masks of dropout, see SegmentWords.
  std::uint32_t micro_batch = 0;
  std::uint32_t micro_row = 0;
};

/// The elements of a shared tensor that a step may write: either a range, or some rows of a store.
struct SharedWrite {
  std::size_t state = 0;
  RowSpace rows = RowSpace::none;  ///< `rows`: those of the step; `outputs`: those of the outputs
  std::int64_t first = 0, count = 0;  ///< the range of elements, for RowSpace::none
};

/// A sequence that takes its rows from a segment of a problem.
struct CasePiece {
  std::size_t segment = 0;
  std::uint32_t first_row = 0;  ///< index of its first row in the segment
  /// If the segment has fewer rows, its rows repeat. 0: all rows of the segment from first_row on.
  std::uint32_t n_rows = 0;
  bool fresh = false;  ///< whether the sequence begins at position 0
};

/// The tensors that record() passes to the op. Each list has one tensor per weight, input or state
/// of the case, in the order in which the case added them.
struct OpHandles {
  std::vector<Tensor> weights, inputs, states;
  std::int64_t n_rows = 1, n_segments = 1, n_outputs = 1;  ///< bucket sizes
};

class OpProblem;

/// The allowed error of each element: one list for each result of run_op, in the order of the
/// results. The list of an integer result is empty, because integers must be equal.
using ResultErrors = std::vector<std::vector<double>>;

/// Everything that one run of an op needs, on any backend. Bytes that a case does not set are 0xFF
/// (NaN). These are the rows beyond the valid rows, and the slots and versions that the step does
/// not read.
class OpProblem {
 public:
  static constexpr std::int32_t kSlots = 4;
  static constexpr std::int32_t kVersions = 3;
  static constexpr std::int32_t kCarryVersions = 2;

  explicit OpProblem(std::string_view seed);

  // --- description, called by the case ---
  Random& random() { return random_; }
  /// Sets the segments of the step, one after the other. `capacity` is the number of rows in the
  /// bucket. 0 means a bucket with at least one spare row.
  void set_step(std::span<const CaseSegment> segments, std::int64_t capacity = 0);
  /// Adds a weight with random values. For a float format, `centre` is the mean of the values, and
  /// `spread` is the root mean square of their distances from the mean. Other formats ignore
  /// `centre`.
  std::size_t add_weight(Format format, const Shape& shape, double spread, double centre = 0);
  /// Adds an f32 weight with the given values.
  std::size_t add_weight(const Shape& shape, std::span<const float> values);
  /// Adds an input with `cols` elements per row or per output, for the whole bucket. The valid rows
  /// are random.
  std::size_t add_input(std::int64_t cols, double spread, RowSpace row_space = RowSpace::rows);
  /// Adds an input with given values. `row_shape` is the shape of one row, and `valid` holds the
  /// values of the valid rows.
  template <class T>
  std::size_t add_input(std::span<const std::int64_t> row_shape, std::span<const T> valid,
                        RowSpace row_space = RowSpace::rows);
  /// Adds an f32 carry of gradients, as training_ops.h defines it, with random values where the op
  /// must read them.
  std::size_t add_carry(const Shape& shape, double spread);
  bool is_carry(std::size_t state) const { return carries_.contains(state); }
  /// Adds a state tensor with kVersions versions.
  std::size_t add_state(DType dtype, const Shape& shape);
  /// Adds keys or values in pages, with `cols` elements per row. There are pages for the rows of the
  /// step and for the n_before positions before each segment, in random order. All tensors of pages
  /// of a problem have the same pages.
  std::size_t add_pages(DType dtype, std::int64_t cols, std::int64_t n_before);
  /// Allows the step to write the rows of n_before positions before each segment too, as a gradient
  /// of keys or values does.
  void may_write_before(std::size_t state, std::int64_t n_before) {
    written_before_[state] = n_before;
  }
  std::int64_t written_before(std::size_t state) const {
    const auto found = written_before_.find(state);
    return found == written_before_.end() ? 0 : found->second;
  }
  /// Adds an f32 tensor that all sequences share, with the given values.
  std::size_t add_shared(const Shape& shape, std::span<const float> values);
  /// Adds a store of n_rows rows: an f32 tensor that all sequences share, such as [n_rows, cols] or
  /// [1, n_rows]. The case sets the rows that the step reads. Set step.store_row first.
  std::size_t add_store(const Shape& shape, std::int64_t n_rows);
  /// The values of a shared tensor.
  std::span<float> shared_values(std::size_t state);
  /// The values of a row of a store.
  std::span<float> store_row(std::size_t state, std::int64_t row);
  /// Allows the step to write some elements of a shared tensor. They are results of the case. Calls
  /// are in the order of the tensors.
  void may_write(const SharedWrite& write) { shared_writes_.push_back(write); }
  /// Fills an f32 state with random values: for each segment, the version that the segment reads.
  /// Skips segments at position 0, because the op must treat the state of such a segment as zeros.
  void fill_state(std::size_t state, double spread);
  /// Fills the rows of positions [first, last) of a segment with random values.
  void fill_pages(std::size_t state, const SegmentWords& segment, std::int64_t first,
                  std::int64_t last, double spread);
  /// The bytes of one row, in the image of a tensor of pages.
  std::byte* row_at(std::size_t state, const SegmentWords& segment, std::int64_t position);
  const std::byte* row_at(std::size_t state, const SegmentWords& segment,
                          std::int64_t position) const;
  /// The bytes of one version of one slot, in the image of a state tensor.
  std::byte* state_bytes(std::size_t state, std::uint32_t slot, std::uint32_t version);
  const std::byte* state_bytes(std::size_t state, std::uint32_t slot, std::uint32_t version) const;
  /// Records the op and returns its outputs.
  std::function<std::vector<Tensor>(const OpHandles& handles)> record;
  /// Computes the errors that float32 arithmetic in any order may have (cases/rounded.h). If not
  /// set, only the tolerance of the case applies.
  std::function<ResultErrors(const OpProblem& problem)> errors;
  /// Whether the step must return the first output as its tokens.
  bool returns_tokens = false;
  /// Whether StepBuffer::ids has an id for each output, not for each row.
  bool ids_of_outputs = false;
  StepBuffer step{};

  // --- the finished description ---
  std::int64_t capacity(RowSpace row_space) const;
  std::int64_t valid_rows(RowSpace row_space) const;
  std::span<const SegmentWords> segments() const { return {step.segments.data(), step.n_segments}; }
  const std::vector<CaseWeight>& weights() const { return weights_; }
  const std::vector<CaseInput>& inputs() const { return inputs_; }
  const StateLayout& layout() const { return layout_; }
  /// The content of each state tensor before the step, by index of the tensor.
  const std::vector<std::vector<std::byte>>& state_images() const { return state_; }
  bool is_paged(std::size_t state) const { return layout_.tensors[state].kind == StateKind::paged; }
  bool is_shared(std::size_t state) const {
    return layout_.tensors[state].kind == StateKind::shared;
  }
  /// The bytes of one row of a store.
  std::size_t store_row_bytes(std::size_t state) const;
  const std::vector<SharedWrite>& shared_writes() const { return shared_writes_; }
  /// A new problem whose step has these pieces as its segments. Each piece has its own slot, which
  /// holds a copy of the state of the original segment. A row keeps its id and its inputs, and
  /// stays an output if it was one. Buckets are as small as possible.
  OpProblem composed(std::span<const CasePiece> pieces) const;

 private:
  /// The rows and outputs of this problem that become the rows and outputs of a composed problem.
  struct Composition {
    std::span<const CasePiece> pieces;
    std::vector<std::size_t> rows, outputs;
  };
  void compose_state(std::size_t state, const Composition& from, OpProblem& made) const;
  void compose_shared(std::size_t state, const Composition& from, OpProblem& made) const;
  void make_tables(std::int64_t n_before);

  Random random_;
  std::int64_t row_capacity_ = 1;
  std::int64_t segment_capacity_ = 1;
  std::int64_t output_capacity_ = 1;
  std::vector<CaseWeight> weights_;
  std::vector<CaseInput> inputs_;
  StateLayout layout_;
  std::int64_t n_before_ = 0;  ///< see add_pages()
  std::vector<std::vector<std::byte>> state_;
  std::vector<SharedWrite> shared_writes_;
  std::map<std::size_t, std::int64_t> store_rows_;  ///< the number of rows of each store
  std::set<std::size_t> carries_;
  std::map<std::size_t, std::int64_t> written_before_;  ///< see may_write_before()
};

enum Tags : unsigned {
  kPlain = 0,
  kEdge = 1,   ///< an edge case that the contract of the op allows
  kModel = 2,  ///< has the shapes of the default configuration
  kBench = 4,  ///< is worth timing
  /// Runs in every mode of a driver, even in a short run. Each op has only a few such cases.
  kEveryMode = 8,
  kExhaustive = 16,  ///< varies another case; skipped in a short run on a GPU
};

/// The tag kEveryMode for one format of each kind, no tag for the other formats.
constexpr unsigned tags_of(Format format) {
  const bool chosen =
      format == Format::f16 || format == Format::q4_g64 || format == Format::nf4_nested;
  return chosen ? kEveryMode : kPlain;
}

struct OpCase {
  std::string label;
  unsigned tags = kPlain;
  Tolerance tolerance;  ///< added to the errors of the problem
  std::function<void(OpProblem& problem)> build;
};

/// The cases of one op. "op/label" is both the full name of a case and its seed.
struct OpCases {
  std::string_view op;
  std::vector<OpCase> cases;
};
/// The cases of every op, in the order of the op list.
const std::vector<OpCases>& every_op_case();
OpProblem problem_of(std::string_view op, const OpCase& op_case);

// Each src/cases/<op>.cpp defines the cases of its op.
#define BX_OP(name) std::vector<OpCase> name##_cases();
#include "ops/op_list.inc"
#undef BX_OP

/// One segment of `n_rows` rows that begins at `position`, reads state version 0 and writes version
/// 1. Most cases of ops with state use this segment.
std::vector<CaseSegment> one_segment(std::uint32_t n_rows, std::uint32_t position);
/// Three segments with different lengths, positions, slots and versions. One segment is at position
/// 0, and its old state is NaN. Another segment has read_version == write_version.
std::vector<CaseSegment> three_segments();
/// Three segments, of which the first keeps its state, and the others do not. The last two share a
/// slot, and the last one begins at position 0.
std::vector<CaseSegment> ending_segments();
/// Four segments with different outputs. The first has none, the second has the logits of every
/// row, the third has the logits of two rows and a token, and the fourth has the logits of one row
/// and a token.
std::vector<CaseSegment> mixed_segments();
/// Four segments that together have as many rows as a step may have. The number of rows is a
/// multiple of 64 in two segments, one more in another, and one less in the last. One segment is at
/// position 0, and one has read_version == write_version.
std::vector<CaseSegment> long_segments();

template <class T>
std::size_t OpProblem::add_input(std::span<const std::int64_t> row_shape, std::span<const T> valid,
                                 RowSpace row_space) {
  CaseInput input;
  input.dtype = std::is_same_v<T, float> ? DType::f32 : DType::i32;
  input.row_space = row_space;
  std::vector<std::int64_t> dims = {capacity(row_space)};
  dims.insert(dims.end(), row_shape.begin(), row_shape.end());
  input.shape = Shape(std::span<const std::int64_t>(dims));
  const auto bytes = std::as_bytes(valid);
  input.bytes.assign(static_cast<std::size_t>(input.shape.elements()) * sizeof(T), std::byte{0xFF});
  std::copy(bytes.begin(), bytes.end(), input.bytes.begin());
  inputs_.push_back(std::move(input));
  return inputs_.size() - 1;
}

}  // namespace bitaxon::test
