// The recorded computation of one step: values and the nodes that make them. A node is known here
// only by its operands and how it accesses them; what an op means is the business of src/ops.
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
  activation,  ///< made by a node, lives in the arena
  input,       ///< placed in the arena, filled by the host before the step (tests)
  weight,      ///< packed by the backend, immutable
  state,       ///< carried from step to step, in the state pool
};

enum class Access : std::uint8_t { read, write, read_write };

struct Value {
  ValueKind kind = ValueKind::activation;
  DType dtype = DType::f32;
  Shape shape;
  RowSpace row_space = RowSpace::none;
  bool is_output = false;                ///< stays readable after the step
  std::shared_ptr<const Weight> weight;  ///< kind weight
  std::int32_t state_index = -1;         ///< kind state: index into the StateLayout
};

struct Operand {
  std::int32_t value = -1;  ///< -1: an optional operand that is absent
  Access access = Access::read;
};

/// One op. `operands` stand in the op's own order, absent optional ones included; `params` is the
/// op's parameter struct, as bytes.
struct Node {
  static constexpr std::size_t kMaxParamsBytes = 48;

  std::uint16_t op = 0;
  std::string label;  ///< for messages and profiles: "layer_3.ssm"
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

/// A graph under construction. Nodes stand in the order of recording, which is a topological order
/// by construction: an operand must exist before it is used. Not thread-safe.
class Graph {
 public:
  Graph() = default;
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;

  /// An activation filled by the host before each step.
  Tensor input(DType dtype, const Shape& shape, RowSpace row_space = RowSpace::rows);
  /// A packed weight. Asking again for the same one gives the same value.
  Tensor weight(std::shared_ptr<const Weight> weight);
  /// One tensor of the state pool, all its slots and versions.
  Tensor state(const StateLayout& layout, std::int32_t index);
  /// Keeps `tensor` readable after the step.
  void mark_output(const Tensor& tensor);

  /// The i32 [G] tensor that StepResult::tokens hands back.
  void set_result(const Tensor& tokens);
  /// Its value id; -1 when the step returns no tokens.
  std::int32_t result() const { return result_; }

  /// Nodes recorded from here on carry this label.
  void set_label(std::string label) { label_ = std::move(label); }

  /// What record() makes for an output operand.
  struct Output {
    DType dtype = DType::f32;
    Shape shape;
    RowSpace row_space = RowSpace::rows;
  };
  struct Argument {
    Tensor tensor;  ///< empty: an absent optional operand
    Access access = Access::read;
  };
  /// Appends a node with operands = arguments, then one written value for each output; returns the
  /// outputs. For op builders only.
  template <class Params>
  std::vector<Tensor> record(std::uint16_t op, const Params& params,
                             std::span<const Argument> arguments, std::span<const Output> outputs) {
    static_assert(std::is_trivially_copyable_v<Params> && sizeof(Params) <= Node::kMaxParamsBytes);
    Node node;
    node.op = op;
    std::memcpy(node.params.data(), &params, sizeof(Params));
    return append(std::move(node), arguments, outputs);
  }

  std::span<const Value> values() const { return values_; }
  std::span<const Node> nodes() const { return nodes_; }
  const Value& value(std::int32_t id) const { return values_[static_cast<std::size_t>(id)]; }

  /// From here on the graph is immutable: recording throws Error(invalid_argument).
  void freeze() { frozen_ = true; }

  /// Bytes that are equal exactly for graphs of the same structure: ops, params, operands, dtypes,
  /// shapes, outputs, and which weights and states they name. Keys the cache of plans.
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
