// Steps that are made of pieces of a case's step. A piece must give the same results in each of
// them: alone, among others, and beside a prefill chunk.
#pragma once

#include <span>
#include <vector>

#include "cases/op_harness.h"

namespace bitaxon::test {

/// The pieces of a problem whose results must not depend on each other: the rows, if the op keeps
/// no state, else the segments. At most `most` of them.
std::vector<CasePiece> pieces_of(const OpProblem& problem, std::size_t most);

/// `n` of the pieces, each several times if there are fewer. `shift` varies the order.
std::vector<CasePiece> group_of(std::span<const CasePiece> pieces, std::size_t n,
                                std::size_t shift);

/// A sequence of `n_rows` rows at position 0, which repeats the rows of the first segment.
CasePiece prefill_chunk(std::uint32_t n_rows);

/// Rows of the step that a group of pieces makes.
std::size_t rows_of(const OpProblem& problem, std::span<const CasePiece> pieces);

/// The results of piece `index` in a run of a composed problem: its rows of each output, then the
/// state that it wrote.
OpRun results_of(const OpRun& run, const OpProblem& composed, std::size_t index);

}  // namespace bitaxon::test
