// What a kernel hands to the recorder: dispatches as data. Launch functions are pure: shapes,
// parameters and DeviceCaps in, launches out. They touch no device and write no barrier.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "core/graph.h"
#include "core/plan.h"
#include "core/step.h"
#include "vulkan/device_caps.h"
#include "vulkan/packed_weight.h"
#include "vulkan/shader.h"

namespace bitaxon::vulkan {

/// What one binding of a shader is bound to: an exact range and how it is accessed.
struct Binding {
  enum class Kind : std::uint8_t {
    step,     ///< the step buffer; read only
    value,    ///< a range of an activation or state tensor
    scratch,  ///< a range of the node's scratch
  };
  Kind kind = Kind::step;
  Access access = Access::read;
  std::int32_t value = -1;
  std::size_t offset_bytes = 0;  ///< a multiple of 256
  std::size_t size_bytes = 0;    ///< a multiple of 4
};

/// Work groups along one axis: a number, or one that depends on how many rows or segments the step
/// has; those are filled in by the host when the step is submitted.
struct GridAxis {
  std::uint32_t count = 1;
  RowSpace per = RowSpace::none;  ///< not none: count * divide_up(n valid, rows_per_group)
  std::uint32_t rows_per_group = 1;
};

struct SpecConstant {
  std::uint32_t id = 0;
  std::uint32_t value = 0;
};

/// One dispatch. `bindings` stand in the order of the shader's binding numbers, from 0 without
/// gaps; a binding that the shader may write is listed with write or read_write, and only those
/// are. `specialization` names every constant that the shader has. Both are checked against the
/// shader when its pipeline is made.
struct Launch {
  Shader shader{};
  std::vector<SpecConstant> specialization;
  std::array<std::byte, kMaxPushBytes> push{};
  std::uint32_t push_bytes = 0;
  std::vector<Binding> bindings;
  std::array<GridAxis, 3> grid;
  /// When set (size_bytes 12), the grid is read from there: three words that an earlier launch of
  /// the node has written.
  std::vector<Binding> indirect;

  /// `params` is the struct of shaders/params/<shader>.h.
  template <class Params>
  void set_push(const Params& params) {
    static_assert(std::is_trivially_copyable_v<Params> && sizeof(Params) <= kMaxPushBytes);
    std::memcpy(push.data(), &params, sizeof(Params));
    push_bytes = sizeof(Params);
  }
};

/// What a launch function knows. Accessors take the operand's index in the op's order.
class LaunchContext {
 public:
  LaunchContext(const DeviceCaps& device_caps, const Graph& graph_in, const Node& node_in,
                const StateLayout& layout, std::size_t scratch_bytes)
      : caps(device_caps),
        graph(graph_in),
        node(node_in),
        layout_(layout),
        scratch_bytes_(scratch_bytes) {}

  const DeviceCaps& caps;
  const Graph& graph;
  const Node& node;
  /// Precision "fast": products may round their factors to 16 bits.
  bool fast = false;

  bool has(int index) const { return node.operands[static_cast<std::size_t>(index)].value >= 0; }
  const Value& value(int index) const {
    return graph.value(node.operands[static_cast<std::size_t>(index)].value);
  }
  const Shape& shape(int index) const { return value(index).shape; }
  template <class Params>
  Params params() const {
    return node.params_as<Params>();
  }

  const PackedWeight& weight(int index) const {
    return *static_cast<const PackedWeight*>(value(index).weight->packed.get());
  }
  /// BX_FORM_ABSENT and zero addresses for an absent optional weight.
  std::uint32_t form(int index) const { return has(index) ? weight(index).form : BX_FORM_ABSENT; }
  WeightRef ref(int index) const { return has(index) ? weight(index).ref : WeightRef{}; }

  /// The whole of an activation, input or state tensor (all its slots and versions), as this launch
  /// accesses it. An access that the node has not declared is a mistake.
  Binding bind(int index, Access access) const;
  /// Rows [first, first + n) of an activation [R, ...]; their bytes must begin at a multiple of
  /// 256.
  Binding bind_rows(int index, Access access, std::int64_t first, std::int64_t n) const;
  /// A range of the node's scratch.
  Binding scratch(std::size_t offset_bytes, std::size_t size_bytes, Access access) const;
  Binding step() const { return {.size_bytes = sizeof(StepBuffer)}; }

  /// Strides of a state tensor in 4-byte words: element i of slot s, version v, begins at
  /// s * slot + v * version (a float16 tensor is words of two elements).
  struct StateStrides {
    std::uint32_t slot = 0;
    std::uint32_t version = 0;
  };
  StateStrides strides(int index) const;

 private:
  const StateLayout& layout_;
  std::size_t scratch_bytes_;
};

/// Sizes and places the scratch of a node: blocks one after the other, each at a multiple of 256.
/// Used by both functions of a kernel, in the same order.
class ScratchPlan {
 public:
  struct Block {
    std::size_t offset_bytes = 0;
    std::size_t size_bytes = 0;
  };
  Block take(std::int64_t n_words) {
    const Block block{used_, static_cast<std::size_t>(n_words) * 4};
    used_ += (block.size_bytes + 255) / 256 * 256;
    return block;
  }
  std::size_t size_bytes() const { return used_; }

 private:
  std::size_t used_ = 0;
};

/// Threads of a work group for kernels without a reason for another number; at most `wanted`, and
/// whole subgroups.
std::uint32_t group_size(const DeviceCaps& caps, std::uint32_t wanted = 128);

/// A dimension as a shader takes it. Throws Error(unsupported) when it needs more than 32 bits.
std::uint32_t to_uint(std::int64_t dimension);

}  // namespace bitaxon::vulkan
