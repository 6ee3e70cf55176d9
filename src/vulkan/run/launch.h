// The dispatches of a kernel as data for the recorder. Launch functions are pure: they turn shapes,
// parameters and DeviceCaps into launches. They use no device and write no barrier.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "core/align.h"
#include "core/node_view.h"
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
  std::size_t offset_bytes = 0;  ///< a multiple of kBufferAlignment
  std::size_t size_bytes = 0;    ///< a multiple of 4
};

/// Workgroups along one axis: a fixed number, or a number that depends on the rows, segments or
/// outputs of the step. The host fills in such a number when the step is submitted.
struct GridAxis {
  std::uint32_t count = 1;
  RowSpace per = RowSpace::none;  ///< if not none: count * divide_up(valid rows, rows_per_group)
  std::uint32_t rows_per_group = 1;
};

struct SpecConstant {
  std::uint32_t id = 0;
  std::uint32_t value = 0;
};

/// One dispatch. `bindings` are in the order of the shader's binding numbers, from 0 without gaps.
/// A binding has access write or read_write exactly when the shader may write it. `specialization`
/// lists every constant of the shader. Bindings and constants are checked against the shader when
/// its pipeline is made.
struct Launch {
  Shader shader{};
  std::vector<SpecConstant> specialization;
  std::array<std::byte, kMaxPushBytes> push{};
  std::uint32_t push_bytes = 0;
  std::vector<Binding> bindings;
  std::array<GridAxis, 3> grid;
  /// If not empty, the grid is read from this one binding of 12 bytes: three words that an earlier
  /// launch of the node has written.
  std::vector<Binding> indirect;

  /// `params` is the struct of shaders/params/<shader>.h.
  template <class Params>
  void set_push(const Params& params) {
    static_assert(std::is_trivially_copyable_v<Params> && sizeof(Params) <= kMaxPushBytes);
    std::memcpy(push.data(), &params, sizeof(Params));
    push_bytes = sizeof(Params);
  }
};

/// Lays out the scratch of a node: blocks one after the other, each aligned to kBufferAlignment.
class ScratchPlan {
 public:
  struct Block {
    std::size_t offset_bytes = 0;
    std::size_t size_bytes = 0;
  };
  Block take(std::int64_t n_words) {
    const Block block{used_, static_cast<std::size_t>(n_words) * 4};
    used_ += align_up(block.size_bytes, kBufferAlignment);
    return block;
  }
  std::size_t size_bytes() const { return used_; }

 private:
  std::size_t used_ = 0;
};

/// The input of a launch function: the node, the device, and how the node's operands lie in memory.
class LaunchContext : public NodeView {
 public:
  LaunchContext(const DeviceCaps& device_caps, const NodeView& node_view, const StateLayout& layout,
                std::size_t scratch_bytes)
      : NodeView(node_view), caps(device_caps), layout_(layout), scratch_bytes_(scratch_bytes) {}

  const DeviceCaps& caps;
  /// With "fast", products may round their factors to 16 bits.
  Precision precision = Precision::exact;

  const PackedWeight& weight(int index) const {
    return *static_cast<const PackedWeight*>(value(index).weight->packed.get());
  }
  /// The form of a weight. An absent optional weight has BX_FORM_ABSENT and zero addresses.
  std::uint32_t form(int index) const { return has(index) ? weight(index).form : BX_FORM_ABSENT; }
  WeightAddress address(int index) const {
    return has(index) ? weight(index).address : WeightAddress{};
  }

  /// Binds a whole activation, input or state tensor (all slots and versions) for this access. The
  /// node must have declared the access.
  Binding bind(int index, Access access) const;
  Binding scratch(const ScratchPlan::Block& block, Access access) const;
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

/// Threads of a workgroup, for kernels that need no specific number: at most `wanted`, in whole
/// subgroups.
std::uint32_t group_size(const DeviceCaps& caps, std::uint32_t wanted = 128);

/// The least number of subgroups in a workgroup of `group` threads: a driver may choose subgroups
/// of any size up to max_subgroup_size.
inline std::uint32_t subgroups_per_group(const DeviceCaps& caps, std::uint32_t group) {
  return group / caps.max_subgroup_size;
}

/// A dimension as the 32-bit number that shaders take. Throws Error(unsupported) when the dimension
/// needs more bits.
std::uint32_t to_uint(std::int64_t dimension);

/// The rows, segments or outputs that a step of this graph has room for. If no tensor has this row
/// space, the largest number that any graph may have.
std::int64_t capacity_of(const Graph& graph, RowSpace space);

/// The number of workgroups that cover n elements, with `per_group` elements each.
inline std::uint32_t groups_for(std::int64_t n, std::int64_t per_group) {
  return to_uint(divide_up(n, per_group));
}

}  // namespace bitaxon::vulkan
