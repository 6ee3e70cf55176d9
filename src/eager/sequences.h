// Cuts the rows of many long sequences into steps.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

#include "bitaxon/step_limits.h"

namespace bitaxon {

/// A range of sequences, or of rows of each sequence.
struct IndexRange {
  std::size_t first = 0;
  std::size_t n = 0;
};

/// Calls run(first, n) for groups of at most kMaxSegments sequences.
template <class Run>
void for_each_group(std::size_t n_sequences, const Run& run) {
  for (std::size_t first = 0; first < n_sequences; first += kMaxSegments)
    run(first, std::min<std::size_t>(kMaxSegments, n_sequences - first));
}

/// Calls run(at, n) for the rows [at, at + n) that each of n_sequences sequences has in one step.
template <class Run>
void for_each_step(std::size_t n_sequences, std::size_t n_rows, const Run& run) {
  const std::size_t most = kMaxRows / n_sequences;
  for (std::size_t at = 0; at < n_rows; at += most) run(at, std::min(most, n_rows - at));
}

/// Copies rows of some sequences of x [sequences, n_rows, width] to adjacent memory.
inline std::vector<float> gather_rows(std::span<const float> x, IndexRange sequences,
                                      std::size_t n_rows, IndexRange rows, std::size_t width) {
  std::vector<float> out;
  out.reserve(sequences.n * rows.n * width);
  for (std::size_t g = 0; g < sequences.n; ++g) {
    const auto from =
        x.subspan(((sequences.first + g) * n_rows + rows.first) * width, rows.n * width);
    out.insert(out.end(), from.begin(), from.end());
  }
  return out;
}

/// The reverse of gather_rows(): copies adjacent rows to their places in y.
inline void scatter_rows(std::span<const float> from, IndexRange sequences, std::size_t n_rows,
                         IndexRange rows, std::size_t width, std::span<float> y) {
  for (std::size_t g = 0; g < sequences.n; ++g)
    std::ranges::copy(from.subspan(g * rows.n * width, rows.n * width),
                      y.subspan(((sequences.first + g) * n_rows + rows.first) * width).begin());
}

}  // namespace bitaxon
