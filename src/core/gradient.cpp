#include "core/gradient.h"

#include <fmt/format.h>

#include "bitaxon/error.h"
#include "core/assert.h"

namespace bitaxon {
namespace {

Tensor find(const std::map<std::int32_t, Tensor>& tensors, std::int32_t id) {
  const auto found = tensors.find(id);
  return found == tensors.end() ? Tensor() : found->second;
}

}  // namespace

const Node& NodeGradient::node() const { return gradients_.graph_.nodes()[node_]; }

Tensor NodeGradient::operand(int index) const {
  const Tensor value = recorded(index);
  const bool is_replaced = !value.empty() && gradients_.stand_in_ &&
                           gradients_.graph_.value(value.id()).kind == ValueKind::activation;
  return is_replaced ? gradients_.stand_in_(value) : value;
}

Tensor NodeGradient::recorded(int index) const {
  const std::int32_t id = node().operands[static_cast<std::size_t>(index)].value;
  return id < 0 ? Tensor() : Tensor(gradients_.graph_, id);
}

Tensor NodeGradient::of_output(int index) const {
  return find(gradients_.values_, node().operands[static_cast<std::size_t>(index)].value);
}

void NodeGradient::add(int index, const Tensor& gradient) const {
  const Tensor value = recorded(index);
  if (value.empty()) return;
  const ValueKind kind = gradients_.graph_.value(value.id()).kind;
  if (kind == ValueKind::activation || kind == ValueKind::input) gradients_.add(value, gradient);
}

Tensor NodeGradient::of_state(int index) const {
  const Tensor gradient = find(gradients_.states_, recorded(index).id());
  BX_ASSERT(!gradient.empty(), "every state tensor of a trained graph has a gradient");
  return gradient;
}

void Gradients::add(const Tensor& value, const Tensor& gradient) {
  const auto [found, is_new] = values_.emplace(value.id(), gradient);
  if (!is_new) found->second = rules_.sum(found->second, gradient);
}

Tensor Gradients::of(const Tensor& value) const { return find(values_, value.id()); }

void Gradients::set_state(const Tensor& state, const Tensor& gradient) {
  states_[state.id()] = gradient;
}

void Gradients::record(std::size_t first, std::size_t last) {
  for (std::size_t n = last; n-- > first;) {
    bool has_gradient = false;
    for (const Operand& operand : graph_.nodes()[n].operands)
      if (operand.value >= 0 && operand.access == Access::write)
        has_gradient = has_gradient || values_.contains(operand.value);
    if (!has_gradient) continue;
    const GradientRule rule = rules_.of(graph_.nodes()[n]);
    if (rule == nullptr)
      throw Error(ErrorKind::invalid_argument,
                  fmt::format("[gradient] {}: expected an op with a gradient, got op {}",
                              graph_.nodes()[n].label, graph_.nodes()[n].op));
    rule(NodeGradient(*this, n));
  }
}

}  // namespace bitaxon
