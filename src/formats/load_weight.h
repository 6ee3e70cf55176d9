// Reads weights in the form in which backends take them. Backends know fewer formats than files:
//   floats stay as they are
//   affine codes of 4 and 8 bits stay as they are
//   affine codes of 2 and 3 bits become codes of 4 bits, and those of 5 and 6 bits become codes of 8
//   bits, with the same scales and biases
//   int8 becomes affine codes of 8 bits: code + 128, one group for each row, and a factor
//   codebooks stay as they are
//   mxfp8 becomes BF16
// No value changes, except for mxfp8 numbers below 2^-133, which BF16 does not have.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "formats/safetensors.h"
#include "formats/weight_format.h"
#include "formats/weight_source.h"

namespace bitaxon {

/// The description of a weight after load_weight().
WeightDesc loaded_form(const WeightDesc& stored);

/// Reads a weight into `into`, in the form loaded_form(source.desc), which it returns. The matrices
/// of a stack may be separate weights. The storage of `into` is reused as in lay_out().
WeightDesc load_weight(const Checkpoint& checkpoint, const WeightSource& source,
                       LoadedWeight& into);

/// The description of a stack whose matrices are stored as separate weights, in their order. Nested
/// scales become F32, because each matrix has an offset of its own. Floats of different types become
/// F32. `name` is the stack's.
/// Throws Error(format) that names the first matrix with another format, shape or type than the
/// first one. Throws Error(unsupported) for blocks that straddle matrices.
WeightDesc stacked_form(const Checkpoint& checkpoint, std::string_view name,
                        std::span<const WeightSource> matrices);

/// Finds a stack of shape [n_matrices, rows, cols] whose matrices are stored as separate weights.
/// `pattern` is the name of a weight, in which the index of the matrix replaces `*`. Empty when the
/// checkpoint has no matrix 0. Throws as find_weight() and stacked_form() do, and Error(format) for
/// another missing matrix.
std::optional<WeightSource> find_stack(const Checkpoint& checkpoint, std::string_view pattern,
                                       const Shape& shape);

/// Reads separate weights into one stack of the form stacked_form(), which it returns.
/// Throws Error(format) if two matrices have different tables of values.
WeightDesc load_stack(const Checkpoint& checkpoint, std::string_view name,
                      std::span<const WeightSource> matrices, LoadedWeight& into);

}  // namespace bitaxon
