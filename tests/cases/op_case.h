// A case of an op: seeded inputs, described independently of backends. Every backend runs the same
// cases, in tests and in the bench.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
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

/// A small random number generator. It gives the same numbers with every standard library.
class Random {
 public:
  /// The seed is a text, such as the name of a case. Adding a case thus does not change the numbers
  /// of other cases.
  explicit Random(std::string_view seed);
  std::uint64_t next();
  /// A number in [0, n).
  std::int64_t below(std::int64_t n);
  /// A number in [low, high).
  double uniform(double low, double high);
  /// A number from a distribution with mean 0 and root mean square `spread`.
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
  nf4_g64,     ///< if cols % 64 != 0, blocks straddle rows and the last block is short
  nf4_nested,  ///< absmax in 8 bits
  nf4_g8,      ///< possible but unused in practice, like nf4_g24; these blocks do not fill a vector
  nf4_g24,
};
inline constexpr Format kEveryFormat[] = {Format::f32,     Format::f16,       Format::bf16,
                                          Format::q4_g32,  Format::q4_g64,    Format::q4_g128,
                                          Format::nf4_g64, Format::nf4_nested};
std::string_view name_of(Format format);

/// A weight as a file stores it.
struct CaseWeight {
  WeightDesc desc;
  std::vector<std::byte> data, scales, biases, quant_map, nested_scales, nested_quant_map;
  WeightParts parts() const;
};

struct CaseInput {
  DType dtype = DType::f32;
  Shape shape;
  RowSpace row_space = RowSpace::rows;
  std::vector<std::byte> bytes;  ///< all rows of the capacity, valid or not
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
  std::uint32_t n_outputs = 1;  ///< its last rows whose logits are computed
  bool samples = true;          ///< whether the last of them gives a token
};

/// A sequence that repeats rows of a segment of a problem.
struct CasePiece {
  std::size_t segment = 0;
  std::uint32_t first_row = 0;  ///< of the segment
  std::uint32_t n_rows = 0;     ///< more than the segment has: its rows repeat; 0: all the others
  bool fresh = false;           ///< begins at position 0
};

/// The tensors for recording the op of a case: one handle per weight, input and state, by index.
struct OpHandles {
  std::vector<Tensor> weights, inputs, states;
  std::int64_t n_rows = 1, n_segments = 1, n_outputs = 1;  ///< capacities
};

class OpProblem;

/// The allowed error of each element: one list per result of run_op, in the same order. The list of
/// an integer result is empty, because integers must be equal.
using ResultErrors = std::vector<std::vector<double>>;

/// Everything that one run of an op needs, on any backend. Bytes that a case does not set are 0xFF
/// (NaN): rows beyond the valid rows, and slots and versions that the step does not read.
class OpProblem {
 public:
  static constexpr std::int32_t kSlots = 4;
  static constexpr std::int32_t kVersions = 3;

  explicit OpProblem(std::string_view seed);

  // --- description, called by the case ---
  Random& random() { return random_; }
  /// Sets the segments of the step, one after the other. A capacity of 0 means a bucket with at
  /// least one spare row.
  void set_step(std::span<const CaseSegment> segments, std::int64_t capacity = 0);
  /// Adds a weight with random values. Their mean is `centre` (float formats only), and `spread` is
  /// the root mean square of their distances from it.
  std::size_t add_weight(Format format, const Shape& shape, double spread, double centre = 0);
  /// Adds an f32 weight with the given values.
  std::size_t add_weight(const Shape& shape, std::span<const float> values);
  /// Adds an input with one row of `cols` elements per row (or output) of the capacity. The valid
  /// rows are random.
  std::size_t add_input(std::int64_t cols, double spread, RowSpace row_space = RowSpace::rows);
  /// Adds an input with given values. `row_shape` is the shape without its first axis, and `valid`
  /// holds the valid rows.
  template <class T>
  std::size_t add_input(std::span<const std::int64_t> row_shape, std::span<const T> valid,
                        RowSpace row_space = RowSpace::rows);
  /// Adds a state tensor with kVersions versions.
  std::size_t add_state(DType dtype, const Shape& shape);
  /// Adds a ring buffer [capacity, cols] of the KV cache ("ring"), without versions.
  std::size_t add_ring(DType dtype, const Shape& shape);
  /// For each segment, fills the version of an f32 state that the segment reads with random values.
  /// Skips segments at position 0, because the op must treat their state as zeros.
  void fill_state(std::size_t state, double spread);
  /// Fills the ring rows of positions [first, last) of a segment with random values.
  void fill_ring(std::size_t state, const SegmentWords& segment, std::int64_t first,
                 std::int64_t last, double spread);
  /// The bytes of one version of a slot in the image of a state.
  std::byte* state_bytes(std::size_t state, std::uint32_t slot, std::uint32_t version);
  const std::byte* state_bytes(std::size_t state, std::uint32_t slot, std::uint32_t version) const;
  /// Records the op and returns its outputs.
  std::function<std::vector<Tensor>(const OpHandles& handles)> record;
  /// The errors that float32 arithmetic in any order may have (cases/rounded.h). If not set, only
  /// the tolerance applies.
  std::function<ResultErrors(const OpProblem& problem)> errors;
  /// Whether the step must return the first output as its tokens.
  bool returns_tokens = false;
  StepBuffer step{};

  // --- the finished description ---
  std::int64_t capacity(RowSpace row_space) const;
  std::int64_t valid_rows(RowSpace row_space) const;
  std::span<const SegmentWords> segments() const { return {step.segments.data(), step.n_segments}; }
  const std::vector<CaseWeight>& weights() const { return weights_; }
  const std::vector<CaseInput>& inputs() const { return inputs_; }
  const StateLayout& layout() const { return layout_; }
  /// The content of each state tensor before the step.
  const std::vector<std::vector<std::byte>>& state_images() const { return state_; }
  bool is_ring(std::size_t state) const { return rings_[state]; }
  /// The problem whose step has these pieces as its segments. Each has a slot of its own, with the
  /// state of the segment that it comes from. A row keeps its id, its inputs and whether it is an
  /// output. Rings have kMaxRows more rows. Buckets have no more room than they need.
  OpProblem composed(std::span<const CasePiece> pieces) const;

 private:
  void compose_state(std::size_t state, std::span<const CasePiece> pieces, OpProblem& made) const;
  std::size_t grow_state(DType dtype, const Shape& shape, std::int32_t versions);

  Random random_;
  std::int64_t row_capacity_ = 1;
  std::int64_t segment_capacity_ = 1;
  std::int64_t output_capacity_ = 1;
  std::vector<CaseWeight> weights_;
  std::vector<CaseInput> inputs_;
  StateLayout layout_;
  std::vector<bool> rings_;
  std::vector<std::vector<std::byte>> state_;
};

enum Tags : unsigned {
  kPlain = 0,
  kEdge = 1,         ///< a boundary of the contract
  kModel = 2,        ///< shapes of the default configuration
  kBench = 4,        ///< worth timing
  kEveryMode = 8,    ///< runs in every mode of a driver, even in a short run: few cases of each op
  kExhaustive = 16,  ///< a variation of another case; skipped in a short run on a GPU
};

/// The cases of one format of each kind run in every mode.
constexpr unsigned tags_of(Format format) {
  const bool chosen =
      format == Format::f16 || format == Format::q4_g64 || format == Format::nf4_nested;
  return chosen ? kEveryMode : kPlain;
}

struct OpCase {
  std::string label;
  unsigned tags = kPlain;
  Tolerance tolerance;  ///< in addition to the problem's errors
  std::function<void(OpProblem& problem)> build;
};

/// The cases of one op. "op/label" is the full name of a case and its seed.
struct OpCases {
  std::string_view op;
  std::vector<OpCase> cases;
};
/// The cases of every op, in the order of the op list.
const std::vector<OpCases>& every_op_case();
OpProblem problem_of(std::string_view op, const OpCase& op_case);

// Each tests/cases/<op>.cpp defines the cases of its op.
#define BX_OP(name) std::vector<OpCase> name##_cases();
#include "ops/op_list.inc"
#undef BX_OP

/// One segment of `n_rows` rows. It begins at `position`, reads state version 0 and writes version
/// 1. Most cases of stateful ops use it.
std::vector<CaseSegment> one_segment(std::uint32_t n_rows, std::uint32_t position);
/// Three segments of different lengths, positions, slots and versions. One segment is at position
/// 0, so its state is garbage. Another segment has read_version == write_version.
std::vector<CaseSegment> three_segments();
/// Four segments that hand back different things: nothing; the logits of every row; the logits of
/// two rows and a token; a token.
std::vector<CaseSegment> mixed_segments();
/// As many rows as a step may have. The segments have a multiple of 64 rows, one row more and one
/// row less. One is at position 0, and one has read_version == write_version.
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
