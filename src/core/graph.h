// The recorded computation of one step: values, and the nodes that compute the values. A graph
// knows only the operands of a node and how the node accesses them. src/ops defines what ops do.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "bitaxon/tensor.h"
#include "core/backend.h"
#include "core/state_layout.h"

namespace bitaxon {

enum class ValueKind : std::uint8_t {
  activation,  ///< computed by a node, in the arena
  input,       ///< in the arena, filled by the host before the step; only tests use inputs
  weight,      ///< packed by the backend, immutable
  state,       ///< in the state pool, kept from step to step
};

enum class Access : std::uint8_t { read, write, read_write };

struct Value {
  ValueKind kind = ValueKind::activation;
  DType dtype = DType::f32;
  Shape shape;
  RowSpace row_space = RowSpace::none;
  bool is_output = false;                ///< stays readable after the step
  std::shared_ptr<const Weight> weight;  ///< set for a value of kind weight
  std::int32_t state_index = -1;         ///< index in the StateLayout; -1 for other kinds
  std::int32_t page_group = -1;          ///< StateTensor::page_group; -1 without pages
};

struct Operand {
  std::int32_t value = -1;  ///< id of the value; -1 for an absent optional operand
  Access access = Access::read;
};

/// One use of an op. `operands` are in the order that the op defines, and include absent optional
/// operands. `params` holds the bytes of the op's parameter struct.
struct Node {
  static constexpr std::size_t kMaxParamsBytes = 48;

  std::uint16_t op = 0;
  std::string label;  ///< names the node in messages and profiles: "layer_3.ssm"
  std::vector<Operand> operands;
  std::array<std::byte, kMaxParamsBytes> params{};

  template <class Params>
  Params params_as() const {
    static_assert(std::is_trivially_copyable_v<Params> && sizeof(Params) <= kMaxParamsBytes);
    Params out;
    std::memcpy(&out, params.data(), sizeof(Params));
    return out;
  }
};

/// A graph under construction. Nodes are in the order of recording. This order is topological,
/// because an operand must exist before a node uses it. Not thread-safe.
class Graph {
 public:
  Graph() = default;
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;

  /// An activation filled by the host before each step.
  Tensor input(DType dtype, const Shape& shape, RowSpace row_space = RowSpace::rows);
  /// A packed weight. The same weight always gives the same value.
  Tensor weight(std::shared_ptr<const Weight> weight);
  /// One tensor of the state pool, with all its slots and versions.
  Tensor state(const StateLayout& layout, std::int32_t index);
  /// Keeps `tensor` readable after the step.
  void mark_output(const Tensor& tensor);

  /// Sets the i32 [G] tensor whose contents become StepResult::tokens.
  void set_result(const Tensor& tokens);
  /// The id of the value that becomes StepResult::tokens; -1 if the step returns no tokens.
  std::int32_t result() const { return result_; }

  /// Sets the label of the nodes that are recorded next.
  void set_label(std::string label) { label_ = std::move(label); }

  /// The value that record() makes for an output operand.
  struct Output {
    DType dtype = DType::f32;
    Shape shape;
    RowSpace row_space = RowSpace::rows;
  };
  /// An operand that record() gets.
  struct Argument {
    Tensor tensor;  ///< empty for an absent optional operand
    Access access = Access::read;
  };
  /// Appends a node. Its operands are the arguments, followed by the outputs. Makes one new value
  /// for each output, and returns the outputs. For op builders only.
  template <class Params>
  std::vector<Tensor> record(std::uint16_t op, const Params& params,
                             std::span<const Argument> arguments, std::span<const Output> outputs) {
    static_assert(std::is_trivially_copyable_v<Params> && sizeof(Params) <= Node::kMaxParamsBytes);
    Node node;
    node.op = op;
    std::memcpy(node.params.data(), &params, sizeof(Params));
    return append(std::move(node), arguments, outputs);
  }

  /// Removes the nodes [first, last). No node behind them may use what they write.
  void remove_nodes(std::size_t first, std::size_t last);

  std::span<const Value> values() const { return values_; }
  std::span<const Node> nodes() const { return nodes_; }
  const Value& value(std::int32_t id) const { return values_[static_cast<std::size_t>(id)]; }

  /// Makes the graph immutable. Later recording throws Error(invalid_argument).
  void freeze() { frozen_ = true; }

  /// The key of this graph in the plan cache. Two graphs have equal keys if and only if they have
  /// the same structure: ops, params, operands, dtypes, shapes, outputs, weights and states.
  std::string structure_key() const;

 private:
  std::vector<Tensor> append(Node node, std::span<const Argument> arguments,
                             std::span<const Output> outputs);
  Tensor add_value(Value value);
  void check_open(const char* what) const;

  std::vector<Value> values_;
  std::vector<Node> nodes_;
  std::string label_;
  std::int32_t result_ = -1;
  bool frozen_ = false;
};

}  // namespace bitaxon
