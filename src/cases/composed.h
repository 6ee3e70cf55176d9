// Builds new steps from pieces of the step of a case. A piece must give the same results in every
// such step: alone, among other pieces, and together with a prefill chunk.
#pragma once

#include <span>
#include <vector>

#include "cases/op_harness.h"

namespace bitaxon::test {

/// The pieces of a problem whose results must not depend on each other, but at most `most` pieces.
/// If sequences have no state of their own, every row is a piece. Otherwise every segment is a piece.
std::vector<CasePiece> pieces_of(const OpProblem& problem, std::size_t most);

/// A group of `n` pieces, taken in turn from `pieces`. If there are fewer than `n` pieces, some are
/// repeated. `shift` is the index of the first piece.
std::vector<CasePiece> group_of(std::span<const CasePiece> pieces, std::size_t n,
                                std::size_t shift);

/// A piece of `n_rows` rows that begins at position 0. Its rows repeat the rows of the first
/// segment.
CasePiece prefill_chunk(std::uint32_t n_rows);

/// The number of rows in the step that consists of these pieces.
std::size_t rows_of(const OpProblem& problem, std::span<const CasePiece> pieces);

/// The results of piece `index` in a run of a composed problem: the rows of this piece in each
/// output, then the state that the piece wrote. Sums over all rows of a step are left out.
OpRun results_of(const OpRun& run, const OpProblem& composed, std::size_t index);

}  // namespace bitaxon::test
