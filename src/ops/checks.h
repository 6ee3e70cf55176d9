// Argument checks shared by the op builders, and sizes shared by their costs.
#pragma once

#include <cstdint>
#include <string_view>

#include "core/node_view.h"
#include "ops/op.h"

namespace bitaxon {

/// Throws Error(invalid_argument) "[op] argument: expected `expected`, got `got`".
[[noreturn]] void fail_argument(std::string_view op, std::string_view argument,
                                std::string_view expected, std::string_view got);
/// Calls fail_argument unless `condition` holds.
void check_argument(bool condition, std::string_view op, std::string_view argument,
                    std::string_view expected, std::string_view got);

/// Checks that the tensor is not empty, is a weight and has this shape.
void check_weight(std::string_view op, std::string_view argument, const Tensor& tensor,
                  const Shape& shape);
/// Checks that the tensor is not empty, is an activation (or an input) and has this dtype and
/// shape.
void check_activation(std::string_view op, std::string_view argument, const Tensor& tensor,
                      DType dtype, const Shape& shape);
/// Checks as check_activation does that the tensor is float32 [R, cols], with any R from 1 to
/// kMaxRows. Returns R.
std::int64_t check_rows(std::string_view op, std::string_view argument, const Tensor& tensor,
                        std::int64_t cols);
/// As check_rows, but the tensor may have more than `cols` columns.
std::int64_t check_wide_rows(std::string_view op, std::string_view argument, const Tensor& tensor,
                             std::int64_t cols);
/// Checks that the tensor is not empty, is a state tensor and has this dtype and shape.
void check_state(std::string_view op, std::string_view argument, const Tensor& tensor, DType dtype,
                 const Shape& shape);
/// Returns the shape [n_matrices, rows, cols] of a weight, after checking that it is a weight.
Shape weight_shape(std::string_view op, std::string_view argument, const Tensor& tensor);
/// Checks that the tensor is a state that lives in pages. Returns the number of elements of a row.
std::int64_t check_pages(std::string_view op, std::string_view argument, const Tensor& tensor);
/// Whether two tensors of pages have the same page tables.
bool in_one_group(const Tensor& a, const Tensor& b);
void check_eps(std::string_view op, float eps);
/// Checks that the tensor is a float32 activation with 1 to kMaxRows rows of any shape.
void check_floats(std::string_view op, std::string_view argument, const Tensor& tensor);
/// Checks that the tensor is a float32 activation with the shape and the kind of rows of `like`.
void check_alike(std::string_view op, std::string_view argument, const Tensor& tensor,
                 const Tensor& like);
/// Checks that the tensor is a float32 state [1, n], and returns n.
std::int64_t check_vector(std::string_view op, std::string_view argument, const Tensor& tensor);
/// Checks that the tensor is a store: a float32 or i32 state [capacity, ...] without pages.
void check_store(std::string_view op, std::string_view argument, const Tensor& tensor);
/// `shape` with `n_rows` as its first extent.
Shape rows_like(const Shape& shape, std::int64_t n_rows);
/// Checks that `experts` is an activation i32 [n_rows, top_k]. Returns top_k.
std::int64_t check_experts(std::string_view op, const Tensor& experts, std::int64_t n_rows);

// --- costs -----------------------------------------------------------------------------------

/// Stored bytes of a weight operand; 0 if the operand is absent.
std::int64_t weight_bytes(const NodeView& node, int index);
/// Valid rows of an activation operand.
std::int64_t valid_rows(const Value& value, const StepSizes& sizes);
/// Bytes of the valid rows of an activation operand; 0 if the operand is absent.
std::int64_t activation_bytes(const NodeView& node, int index, const StepSizes& sizes);
/// The elements of the valid rows of an activation operand.
std::int64_t valid_elements(const NodeView& node, int index, const StepSizes& sizes);
/// Bytes of one version of one slot of a state operand.
std::int64_t state_bytes(const NodeView& node, int index);
/// The most stored bytes that a step reads of a stack of experts: top_k experts per row, until
/// every expert is read.
std::int64_t chosen_expert_bytes(const NodeView& node, int index, std::int64_t top_k,
                                 const StepSizes& sizes);
/// The operations of a product of n_rows rows with a weight operand: 2 * n_rows * rows * cols.
std::int64_t product_flops(const NodeView& node, int index, std::int64_t n_rows);

}  // namespace bitaxon
