#include "ops/checks.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "bitaxon/error.h"
#include "core/step.h"

namespace bitaxon {

void fail_argument(std::string_view op, std::string_view argument, std::string_view expected,
                   std::string_view got) {
  throw Error(ErrorKind::invalid_argument,
              fmt::format("[{}] {}: expected {}, got {}", op, argument, expected, got));
}

void check_argument(bool condition, std::string_view op, std::string_view argument,
                    std::string_view expected, std::string_view got) {
  if (!condition) fail_argument(op, argument, expected, got);
}

namespace {

std::string described(const Tensor& tensor) {
  return fmt::format("{} {}", name_of(tensor.dtype()), tensor.shape().to_string());
}

const Value& value_of(const Tensor& tensor) { return tensor.graph().value(tensor.id()); }

void check_present(std::string_view op, std::string_view argument, const Tensor& tensor) {
  check_argument(!tensor.empty(), op, argument, "a tensor", "an empty handle");
}

bool is_activation(const Tensor& tensor) {
  const ValueKind kind = value_of(tensor).kind;
  return kind == ValueKind::activation || kind == ValueKind::input;
}

}  // namespace

Shape weight_shape(std::string_view op, std::string_view argument, const Tensor& tensor) {
  check_present(op, argument, tensor);
  check_argument(value_of(tensor).kind == ValueKind::weight, op, argument, "a weight",
                 "an activation or a state");
  return tensor.shape();
}

void check_weight(std::string_view op, std::string_view argument, const Tensor& tensor,
                  const Shape& shape) {
  const Shape got = weight_shape(op, argument, tensor);
  if (!(got == shape))
    fail_argument(op, argument, "a weight " + shape.to_string(), got.to_string());
}

void check_activation(std::string_view op, std::string_view argument, const Tensor& tensor,
                      DType dtype, const Shape& shape) {
  check_present(op, argument, tensor);
  if (!is_activation(tensor) || tensor.dtype() != dtype || !(tensor.shape() == shape))
    fail_argument(op, argument,
                  fmt::format("an activation {} {}", name_of(dtype), shape.to_string()),
                  described(tensor));
}

std::int64_t check_wide_rows(std::string_view op, std::string_view argument, const Tensor& tensor,
                             std::int64_t cols) {
  check_present(op, argument, tensor);
  const Shape shape = tensor.shape();
  if (!is_activation(tensor) || tensor.dtype() != DType::f32 || shape.rank() != 2 || shape[0] < 1 ||
      shape[0] > kMaxRows || shape[1] < cols)
    fail_argument(op, argument,
                  fmt::format("an activation F32 [1..{}, {} or more]", kMaxRows, cols),
                  described(tensor));
  return shape[0];
}

std::int64_t check_rows(std::string_view op, std::string_view argument, const Tensor& tensor,
                        std::int64_t cols) {
  check_present(op, argument, tensor);
  const Shape shape = tensor.shape();
  if (!is_activation(tensor) || tensor.dtype() != DType::f32 || shape.rank() != 2 || shape[0] < 1 ||
      shape[0] > kMaxRows || shape[1] != cols)
    fail_argument(op, argument, fmt::format("an activation F32 [1..{}, {}]", kMaxRows, cols),
                  described(tensor));
  return shape[0];
}

void check_state(std::string_view op, std::string_view argument, const Tensor& tensor, DType dtype,
                 const Shape& shape) {
  check_present(op, argument, tensor);
  if (value_of(tensor).kind != ValueKind::state || tensor.dtype() != dtype ||
      !(tensor.shape() == shape))
    fail_argument(op, argument, fmt::format("a state {} {}", name_of(dtype), shape.to_string()),
                  described(tensor));
}

std::int64_t check_pages(std::string_view op, std::string_view argument, const Tensor& tensor) {
  check_present(op, argument, tensor);
  const Value& value = value_of(tensor);
  const bool is_float = tensor.dtype() == DType::f16 || tensor.dtype() == DType::f32;
  if (value.page_group < 0 || !is_float)
    fail_argument(op, argument, "a state F16 or F32 in pages", described(tensor));
  return value.shape[1];
}

bool in_one_group(const Tensor& a, const Tensor& b) {
  return value_of(a).page_group == value_of(b).page_group;
}

void check_eps(std::string_view op, float eps) {
  if (!(eps > 0)) fail_argument(op, "eps", "a number > 0", fmt::format("{}", eps));
}

void check_floats(std::string_view op, std::string_view argument, const Tensor& tensor) {
  check_present(op, argument, tensor);
  const Shape shape = tensor.shape();
  if (!is_activation(tensor) || tensor.dtype() != DType::f32 || shape.rank() < 2 || shape[0] < 1 ||
      shape[0] > kMaxRows)
    fail_argument(op, argument, fmt::format("an activation F32 [1..{}, ...]", kMaxRows),
                  described(tensor));
}

void check_alike(std::string_view op, std::string_view argument, const Tensor& tensor,
                 const Tensor& like) {
  check_activation(op, argument, tensor, DType::f32, like.shape());
  const auto name = [](RowSpace space) {
    return space == RowSpace::outputs ? "rows of outputs" : "rows of tokens";
  };
  check_argument(tensor.row_space() == like.row_space(), op, argument, name(like.row_space()),
                 name(tensor.row_space()));
}

std::int64_t check_vector(std::string_view op, std::string_view argument, const Tensor& tensor) {
  check_present(op, argument, tensor);
  const Value& value = value_of(tensor);
  const Shape& shape = value.shape;
  if (value.kind != ValueKind::state || value.page_group >= 0 || tensor.dtype() != DType::f32 ||
      shape.rank() != 2 || shape[0] != 1)
    fail_argument(op, argument, "a state F32 [1, n]", described(tensor));
  return shape[1];
}

void check_store(std::string_view op, std::string_view argument, const Tensor& tensor) {
  check_present(op, argument, tensor);
  const Value& value = value_of(tensor);
  const bool is_word = value.dtype == DType::f32 || value.dtype == DType::i32;
  if (value.kind != ValueKind::state || value.page_group >= 0 || !is_word || value.shape.rank() < 2)
    fail_argument(op, argument, "a state F32 or I32 [capacity, ...]", described(tensor));
}

Shape rows_like(const Shape& shape, std::int64_t n_rows) {
  std::vector<std::int64_t> dims(shape.dims().begin(), shape.dims().end());
  dims.front() = n_rows;
  return Shape(dims);
}

std::int64_t check_experts(std::string_view op, const Tensor& experts, std::int64_t n_rows) {
  check_argument(!experts.empty() && experts.shape().rank() == 2, op, "experts",
                 "an activation I32 [R, top_k]",
                 experts.empty() ? "an empty handle" : experts.shape().to_string());
  const std::int64_t top_k = experts.shape()[1];
  check_activation(op, "experts", experts, DType::i32, {n_rows, top_k});
  return top_k;
}

std::int64_t weight_bytes(const NodeView& node, int index) {
  if (!node.has(index)) return 0;
  return static_cast<std::int64_t>(node.value(index).weight->stored_bytes);
}

std::int64_t valid_rows(const Value& value, const StepSizes& sizes) {
  return rows_in(value.row_space, sizes);
}

std::int64_t valid_elements(const NodeView& node, int index, const StepSizes& sizes) {
  const Value& value = node.value(index);
  return value.shape.elements() / value.shape[0] * valid_rows(value, sizes);
}

std::int64_t activation_bytes(const NodeView& node, int index, const StepSizes& sizes) {
  if (!node.has(index)) return 0;
  return valid_elements(node, index, sizes) *
         static_cast<std::int64_t>(size_of(node.value(index).dtype));
}

std::int64_t state_bytes(const NodeView& node, int index) {
  const Value& value = node.value(index);
  return value.shape.elements() * static_cast<std::int64_t>(size_of(value.dtype));
}

std::int64_t chosen_expert_bytes(const NodeView& node, int index, std::int64_t top_k,
                                 const StepSizes& sizes) {
  const std::int64_t n_experts = node.shape(index)[0];
  return weight_bytes(node, index) / n_experts * std::min(n_experts, top_k * sizes.n_rows);
}

std::int64_t product_flops(const NodeView& node, int index, std::int64_t n_rows) {
  const Shape& shape = node.shape(index);
  return 2 * n_rows * shape[1] * shape[2];
}

}  // namespace bitaxon
