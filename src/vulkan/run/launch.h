// What a kernel hands to the recorder: dispatches as data. Launch functions are pure: they turn
// shapes, parameters and DeviceCaps into launches. They use no device and write no barrier.
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
#include "vulkan/device/device_caps.h"
#include "vulkan/memory/packed_weight.h"
#include "vulkan/program/shader.h"

namespace bitaxon::vulkan {

/// The memory that one binding of a shader refers to: an exact range and how it is accessed.
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

/// Workgroups along one axis: a fixed number, or a number that depends on the rows, segments or
/// outputs of the step. The host fills in the latter when the step is submitted.
struct GridAxis {
  std::uint32_t count = 1;
  RowSpace per = RowSpace::none;  ///< not none: count * divide_up(valid rows of it, rows_per_group)
  std::uint32_t rows_per_group = 1;
};

struct SpecConstant {
  std::uint32_t id = 0;
  std::uint32_t value = 0;
};

/// One dispatch. `bindings` are in the order of the shader's binding numbers, from 0 without gaps.
/// A binding has access write or read_write exactly when the shader may write it. `specialization`
/// lists every constant of the shader. Both are checked against the shader when its pipeline is
/// made.
struct Launch {
  Shader shader{};
  std::vector<SpecConstant> specialization;
  std::array<std::byte, kMaxPushBytes> push{};
  std::uint32_t push_bytes = 0;
  std::vector<Binding> bindings;
  std::array<GridAxis, 3> grid;
  /// If set (size_bytes 12), the grid is read from this binding: three words that an earlier launch
  /// of the node has written.
  std::vector<Binding> indirect;

  /// `params` is the struct of shaders/params/<shader>.h.
  template <class Params>
  void set_push(const Params& params) {
    static_assert(std::is_trivially_copyable_v<Params> && sizeof(Params) <= kMaxPushBytes);
    std::memcpy(push.data(), &params, sizeof(Params));
    push_bytes = sizeof(Params);
  }
};

/// The input of a launch function. Accessors take the operand's index in the op's order.
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

  /// A whole activation, input or state tensor (all slots and versions), as this launch accesses
  /// it. The node must have declared the access.
  Binding bind(int index, Access access) const;
  /// Rows [first, first + n) of an activation [R, ...]. Their bytes must begin at a multiple of
  /// 256.
  Binding bind_rows(int index, Access access, std::int64_t first, std::int64_t n) const;
  /// A range of the node's scratch.
  Binding scratch(std::size_t offset_bytes, std::size_t size_bytes, Access access) const;
  Binding step() const { return {.size_bytes = sizeof(StepBuffer)}; }

  /// Strides of a state tensor in 4-byte words. Element i of slot s, version v, is at word
  /// s * slot + v * version + i; a word of a float16 tensor holds two elements.
  struct StateStrides {
    std::uint32_t slot = 0;
    std::uint32_t version = 0;
  };
  StateStrides strides(int index) const;

 private:
  const StateLayout& layout_;
  std::size_t scratch_bytes_;
};

/// Lays out the scratch of a node: blocks one after the other, each at a multiple of 256. Both
/// functions of a kernel call it in the same order.
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

/// Threads of a workgroup, for kernels that need no specific number: at most `wanted`, in whole
/// subgroups.
std::uint32_t group_size(const DeviceCaps& caps, std::uint32_t wanted = 128);

/// A dimension as shaders take it. Throws Error(unsupported) when it needs more than 32 bits.
std::uint32_t to_uint(std::int64_t dimension);

}  // namespace bitaxon::vulkan
