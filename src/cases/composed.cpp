#include "cases/composed.h"

#include <algorithm>
#include <bit>

#include "core/assert.h"

namespace bitaxon::test {
namespace {

/// The number of rows of its segment that a piece uses before it repeats them.
std::uint32_t distinct_rows(const SegmentWords& segment, const CasePiece& piece) {
  return segment.n_rows - piece.first_row;
}

std::uint32_t rows_of_piece(const SegmentWords& segment, const CasePiece& piece) {
  return piece.n_rows != 0 ? piece.n_rows : distinct_rows(segment, piece);
}

std::size_t row_bytes(const CaseInput& input) {
  return input.bytes.size() / static_cast<std::size_t>(input.shape[0]);
}

/// Copies bytes [from, from + size) to `to`.
void copy(std::span<const std::byte> bytes, std::size_t from, std::size_t size, std::byte* to) {
  std::ranges::copy(bytes.subspan(from, size), to);
}

/// The shape of a tensor, with `n_rows` as its number of rows.
Shape with_rows(const Shape& shape, std::int64_t n_rows) {
  std::vector<std::int64_t> dims = {n_rows};
  for (int axis = 1; axis < shape.rank(); ++axis) dims.push_back(shape[axis]);
  return Shape(std::span<const std::int64_t>(dims));
}

std::int64_t bucket_with(std::size_t n) {
  return static_cast<std::int64_t>(std::bit_ceil(std::max<std::size_t>(n, 1)));
}

}  // namespace

OpProblem OpProblem::composed(std::span<const CasePiece> pieces) const {
  OpProblem made("composed");
  made.record = record;
  made.returns_tokens = returns_tokens;
  made.ids_of_outputs = ids_of_outputs;
  made.weights_ = weights_;
  made.shared_writes_ = shared_writes_;
  // Rows of the step and rows of outputs then have different places in a store.
  made.step.store_row = step.store_row == 0 ? 0 : static_cast<StepWord>(kMaxRows);
  Composition from{pieces, {}, {}};
  std::vector<std::size_t>& rows = from.rows;
  std::vector<std::size_t>& outputs = from.outputs;
  for (const CasePiece& piece : pieces) {
    const SegmentWords& segment = step.segments[piece.segment];
    const std::uint32_t first = segment.first_row + piece.first_row;
    const std::uint32_t n_distinct = distinct_rows(segment, piece);
    SegmentWords& words = made.step.segments[made.step.n_segments];
    words = segment;
    words.slot = made.step.n_segments++;
    words.first_row = made.step.n_rows;
    words.n_rows = rows_of_piece(segment, piece);
    words.sampled_output = BX_SAMPLES_NOTHING;
    words.position += piece.first_row;
    if (piece.fresh) words.position = words.ids_from_state = 0;
    for (std::uint32_t i = 0; i < words.n_rows; ++i) rows.push_back(first + i % n_distinct);
    for (std::uint32_t o = 0; o < step.n_outputs; ++o) {
      // The unsigned difference wraps around if the row is before `first`.
      const std::uint32_t at = step.output_rows[o] - first;
      if (at >= std::min(n_distinct, words.n_rows)) continue;
      if (segment.sampled_output == o) words.sampled_output = made.step.n_outputs;
      made.step.output_rows[made.step.n_outputs++] = words.first_row + at;
      outputs.push_back(o);
    }
    made.step.n_rows += words.n_rows;
  }
  BX_ASSERT(made.step.n_rows <= kMaxRows, "the pieces fit a step");
  const auto& ids = ids_of_outputs ? outputs : rows;
  for (std::size_t i = 0; i < ids.size(); ++i) made.step.ids[i] = step.ids[ids[i]];
  made.row_capacity_ = bucket_with(rows.size());
  made.segment_capacity_ = bucket_with(pieces.size());
  made.output_capacity_ = bucket_with(outputs.size());
  for (const CaseInput& input : inputs_) {
    CaseInput& copied = made.inputs_.emplace_back(input);
    const std::size_t size = row_bytes(input);
    copied.shape = with_rows(input.shape, made.capacity(input.row_space));
    copied.bytes.assign(static_cast<std::size_t>(copied.shape[0]) * size, std::byte{0xFF});
    const auto& sources = input.row_space == RowSpace::outputs ? outputs : rows;
    for (std::size_t i = 0; i < sources.size(); ++i)
      copy(input.bytes, sources[i] * size, size, copied.bytes.data() + i * size);
  }
  made.layout_.n_slots = static_cast<std::int32_t>(pieces.size());
  for (std::size_t state = 0; state < state_.size(); ++state)
    if (is_shared(state))
      compose_shared(state, from, made);
    else
      compose_state(state, from, made);
  return made;
}

void OpProblem::compose_shared(std::size_t state, const Composition& from, OpProblem& made) const {
  const Shape& shape = layout_.tensors[state].shape;
  const auto* values = reinterpret_cast<const float*>(state_[state].data());
  if (!store_rows_.contains(state)) {
    made.add_shared(shape, {values, static_cast<std::size_t>(shape.elements())});
    return;
  }
  const std::int64_t old_rows = store_rows_.at(state);
  const std::int64_t n_rows =
      std::max(old_rows, made.step.store_row + static_cast<std::int64_t>(from.rows.size()));
  const std::size_t copied = made.add_store(
      shape[0] == old_rows ? with_rows(shape, n_rows) : Shape{shape[0], n_rows}, n_rows);
  const auto copy_row = [&](std::size_t old_row, std::size_t row) {
    const std::span<float> to = made.store_row(copied, static_cast<std::int64_t>(row));
    std::copy_n(values + old_row * to.size(), to.size(), to.begin());
  };
  for (std::size_t r = 0; r < from.rows.size(); ++r)
    copy_row(step.store_row + from.rows[r], made.step.store_row + r);
  for (std::size_t o = 0; o < from.outputs.size(); ++o)
    copy_row(step.output_rows[from.outputs[o]], made.step.output_rows[o]);
}

void OpProblem::compose_state(std::size_t state, const Composition& composition,
                              OpProblem& made) const {
  const std::span<const CasePiece> pieces = composition.pieces;
  const StateTensor& tensor = layout_.tensors[state];
  if (!is_paged(state)) {
    const std::size_t copied = is_carry(state) ? made.add_carry(tensor.shape, 1)
                                               : made.add_state(tensor.dtype, tensor.shape);
    const auto n_versions = static_cast<std::uint32_t>(tensor.versions);
    for (std::size_t k = 0; k < pieces.size(); ++k)
      for (std::uint32_t version = 0; version < n_versions; ++version)
        std::copy_n(state_bytes(state, step.segments[pieces[k].segment].slot, version),
                    tensor.slot_stride_bytes,
                    made.state_bytes(copied, static_cast<std::uint32_t>(k), version));
    return;
  }
  const std::size_t copied = made.add_pages(tensor.dtype, tensor.shape[1], n_before_);
  made.may_write_before(copied, written_before(state));
  const std::size_t size = tensor.page_bytes() / kPageRows;
  for (std::size_t k = 0; k < pieces.size(); ++k) {
    const SegmentWords& from = step.segments[pieces[k].segment];
    const SegmentWords& to = made.step.segments[k];
    const auto copy_row = [&](std::int64_t position, std::int64_t new_position) {
      std::copy_n(row_at(state, from, position), size, made.row_at(copied, to, new_position));
    };
    const std::int64_t begin = from.position;
    if (pieces[k].fresh) {
      for (std::int64_t i = 0; i < to.n_rows; ++i) copy_row(begin + i % from.n_rows, i);
    } else {
      const std::int64_t end = begin + std::min(from.n_rows, to.n_rows);
      for (std::int64_t p = std::max<std::int64_t>(0, begin - n_before_); p < end; ++p)
        copy_row(p, p);
    }
  }
}

std::vector<CasePiece> pieces_of(const OpProblem& problem, std::size_t most) {
  std::vector<CasePiece> pieces;
  const bool by_row = std::ranges::all_of(
      problem.layout().tensors, [](const StateTensor& t) { return t.kind == StateKind::shared; });
  for (std::size_t g = 0; g < problem.step.n_segments; ++g) {
    const std::uint32_t n = by_row ? problem.step.segments[g].n_rows : 1;
    for (std::uint32_t r = 0; r < n && pieces.size() < most; ++r)
      pieces.push_back({.segment = g, .first_row = r, .n_rows = by_row ? 1U : 0U});
  }
  return pieces;
}

std::vector<CasePiece> group_of(std::span<const CasePiece> pieces, std::size_t n,
                                std::size_t shift) {
  std::vector<CasePiece> group;
  for (std::size_t i = 0; i < n; ++i) group.push_back(pieces[(i + shift) % pieces.size()]);
  return group;
}

CasePiece prefill_chunk(std::uint32_t n_rows) { return {.n_rows = n_rows, .fresh = true}; }

std::size_t rows_of(const OpProblem& problem, std::span<const CasePiece> pieces) {
  std::size_t n = 0;
  for (const CasePiece& piece : pieces)
    n += rows_of_piece(problem.step.segments[piece.segment], piece);
  return n;
}

OpRun results_of(const OpRun& run, const OpProblem& composed, std::size_t index) {
  const SegmentWords& segment = composed.step.segments[index];
  OpRun own;
  for (const OpResult& result : run.results) {
    if (result.row_space == RowSpace::none) {  // a result that is a range of a state
      if (result.segment == index) own.results.push_back(result);
      continue;
    }
    OpResult& part = own.results.emplace_back(result);
    part.bytes.clear();
    const auto n_valid = static_cast<std::size_t>(composed.valid_rows(result.row_space));
    const std::size_t size = n_valid == 0 ? 0 : result.bytes.size() / n_valid;
    for (std::size_t r = 0; r < n_valid; ++r) {
      const std::size_t row =
          result.row_space == RowSpace::outputs ? composed.step.output_rows[r] : r;
      const bool is_own =
          result.row_space == RowSpace::segments
              ? r == index
              : row >= segment.first_row && row < segment.first_row + segment.n_rows;
      if (!is_own) continue;
      const auto from = std::span(result.bytes).subspan(r * size, size);
      part.bytes.insert(part.bytes.end(), from.begin(), from.end());
    }
  }
  return own;
}

}  // namespace bitaxon::test
