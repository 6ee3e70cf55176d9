#include "core/graph.h"

#include <fmt/format.h>

#include "bitaxon/error.h"
#include "core/assert.h"

namespace bitaxon {

DType Tensor::dtype() const { return graph_->value(id_).dtype; }
Shape Tensor::shape() const { return graph_->value(id_).shape; }
RowSpace Tensor::row_space() const { return graph_->value(id_).row_space; }

void Graph::check_open(const char* what) const {
  if (frozen_)
    throw Error(ErrorKind::invalid_argument,
                fmt::format("[graph] {}: expected a graph that is still being recorded, got one "
                            "that has been scheduled",
                            what));
}

Tensor Graph::add_value(Value value) {
  values_.push_back(std::move(value));
  return Tensor(*this, static_cast<std::int32_t>(values_.size()) - 1);
}

Tensor Graph::input(DType dtype, const Shape& shape, RowSpace row_space) {
  check_open("input");
  Value value;
  value.kind = ValueKind::input;
  value.dtype = dtype;
  value.shape = shape;
  value.row_space = row_space;
  return add_value(std::move(value));
}

Tensor Graph::weight(std::shared_ptr<const Weight> weight) {
  check_open("weight");
  for (std::size_t i = 0; i < values_.size(); ++i)
    if (values_[i].weight == weight) return Tensor(*this, static_cast<std::int32_t>(i));
  Value value;
  value.kind = ValueKind::weight;
  value.shape = weight->shape;
  value.weight = std::move(weight);
  return add_value(std::move(value));
}

Tensor Graph::state(const StateLayout& layout, std::int32_t index) {
  check_open("state");
  for (std::size_t i = 0; i < values_.size(); ++i)
    if (values_[i].kind == ValueKind::state && values_[i].state_index == index)
      return Tensor(*this, static_cast<std::int32_t>(i));
  const StateTensor& tensor = layout.tensors[static_cast<std::size_t>(index)];
  Value value;
  value.kind = ValueKind::state;
  value.dtype = tensor.dtype;
  value.shape = tensor.shape;
  value.state_index = index;
  value.page_group = tensor.page_group;
  return add_value(std::move(value));
}

void Graph::mark_output(const Tensor& tensor) {
  check_open("mark_output");
  BX_ASSERT(&tensor.graph() == this, "an output belongs to the graph that marks it");
  values_[static_cast<std::size_t>(tensor.id())].is_output = true;
}

void Graph::set_result(const Tensor& tokens) {
  mark_output(tokens);
  result_ = tokens.id();
}

std::vector<Tensor> Graph::append(Node node, std::span<const Argument> arguments,
                                  std::span<const Output> outputs) {
  check_open("record");
  node.label = label_;
  for (const Argument& argument : arguments) {
    if (argument.tensor.empty()) {
      node.operands.push_back({-1, argument.access});
      continue;
    }
    BX_ASSERT(&argument.tensor.graph() == this, "operands belong to the graph of the node");
    node.operands.push_back({argument.tensor.id(), argument.access});
  }
  std::vector<Tensor> made;
  for (const Output& output : outputs) {
    Value value;
    value.dtype = output.dtype;
    value.shape = output.shape;
    value.row_space = output.row_space;
    made.push_back(add_value(std::move(value)));
    node.operands.push_back({made.back().id(), Access::write});
  }
  nodes_.push_back(std::move(node));
  return made;
}

void Graph::remove_nodes(std::size_t first, std::size_t last) {
  check_open("remove_nodes");
  const auto at = [&](std::size_t n) { return nodes_.begin() + static_cast<std::ptrdiff_t>(n); };
  nodes_.erase(at(first), at(last));
}

namespace {

template <class T>
void append_bytes(std::string& key, const T& value) {
  static_assert(std::is_trivially_copyable_v<T>);
  key.append(reinterpret_cast<const char*>(&value), sizeof(T));
}

}  // namespace

std::string Graph::structure_key() const {
  std::string key;
  for (const Value& value : values_) {
    append_bytes(key, value.kind);
    append_bytes(key, value.dtype);
    append_bytes(key, value.row_space);
    append_bytes(key, value.is_output);
    append_bytes(key, value.state_index);
    append_bytes(key, value.page_group);
    // Weights are compared by identity, because two weights of equal shape may be packed
    // differently.
    append_bytes(key, value.weight.get());
    append_bytes(key, value.shape.rank());
    for (std::int64_t dim : value.shape.dims()) append_bytes(key, dim);
  }
  append_bytes(key, result_);
  for (const Node& node : nodes_) {
    append_bytes(key, node.op);
    append_bytes(key, node.params);
    append_bytes(key, node.operands.size());
    for (const Operand& operand : node.operands) {
      append_bytes(key, operand.value);
      append_bytes(key, operand.access);
    }
  }
  return key;
}

}  // namespace bitaxon
