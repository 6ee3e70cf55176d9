// Describes the dispatches of a kernel as data. Launch functions turn shapes, parameters and
// DeviceCaps into launches. They are pure: they use no device and record no barrier. The recorder
// does both later.
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

/// The memory that one binding of a shader refers to: a range of bytes, and how the shader accesses
/// the range without the bytes that it skips.
struct Binding {
  enum class Kind : std::uint8_t {
    step,      ///< the step buffer, which shaders only read
    value,     ///< a range of an activation or state tensor
    scratch,   ///< a range of the node's scratch
    counters,  ///< words of the launch that are 0 before it and after it
  };
  Kind kind = Kind::step;
  Access access = Access::read;
  std::int32_t value = -1;
  std::size_t offset_bytes = 0;  ///< a multiple of kBufferAlignment
  std::size_t size_bytes = 0;    ///< a multiple of 4
  /// The bytes at the beginning that the shader does not access. They are in the range only because a
  /// binding must begin at a multiple of kBufferAlignment. Another launch may write them meanwhile.
  std::size_t skipped_bytes = 0;
};

/// The number of workgroups along one axis. It is fixed, or it depends on the number of rows,
/// segments or outputs of the step. In the second case, the host fills in the number when the step
/// is submitted.
struct GridAxis {
  std::uint32_t count = 1;
  RowSpace per = RowSpace::none;  ///< if set, there are count * divide_up(valid rows,
                                  ///< rows_per_group) workgroups, else count
  std::uint32_t rows_per_group = 1;
};

struct SpecConstant {
  std::uint32_t id = 0;
  std::uint32_t value = 0;
};

/// One dispatch. `bindings` has one element for each binding number of the shader, from 0 without
/// gaps. The access of a binding is `read` if the shader declares the binding readonly, else
/// `write` or `read_write`. `specialization` lists every specialization constant of the shader.
/// Bindings and constants are checked against the shader when its pipeline is made.
struct Launch {
  Shader shader{};
  std::vector<SpecConstant> specialization;
  std::uint32_t subgroup_size = 0;  ///< the only one with which the shader works; 0: any
  std::array<std::byte, kMaxPushBytes> push{};
  std::uint32_t push_bytes = 0;
  std::vector<Binding> bindings;
  std::array<GridAxis, 3> grid;
  /// Empty, or one binding of 12 bytes. These bytes then hold the grid as three words, which an
  /// earlier launch of the node has written.
  std::vector<Binding> indirect;

  /// Sets the push constants. `params` is the struct from shaders/params/<shader>.h.
  template <class Params>
  void set_push(const Params& params) {
    static_assert(std::is_trivially_copyable_v<Params> && sizeof(Params) <= kMaxPushBytes);
    std::memcpy(push.data(), &params, sizeof(Params));
    push_bytes = sizeof(Params);
  }
};

/// Lays out the scratch of a node. The scratch consists of consecutive blocks, and each block is
/// aligned to kBufferAlignment.
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

/// The input of a launch function: the node, the device, and the places of the node's operands in
/// memory.
class LaunchContext : public NodeView {
 public:
  LaunchContext(const DeviceCaps& device_caps, const NodeView& node_view, const StateLayout& layout,
                std::size_t scratch_bytes)
      : NodeView(node_view), caps(device_caps), layout_(layout), scratch_bytes_(scratch_bytes) {}

  const DeviceCaps& caps;
  /// With Precision::fast, products may round their factors to 16 bits.
  Precision precision = Precision::exact;

  const PackedWeight& weight(int index) const {
    return *static_cast<const PackedWeight*>(value(index).weight->packed.get());
  }
  /// form() and address() return the form and the address of a weight. For an optional weight that
  /// is absent, they return BX_FORM_ABSENT and zeros.
  std::uint32_t form(int index) const { return has(index) ? weight(index).form : BX_FORM_ABSENT; }
  WeightAddress address(int index) const {
    return has(index) ? weight(index).address : WeightAddress{};
  }

  /// Binds a whole activation, input or state tensor. The binding of a state tensor covers all
  /// slots and versions, or all pages that the tensor has when the binding is resolved. The node must have declared `access` for this operand.
  Binding bind(int index, Access access) const;
  /// A part of an activation, input or state tensor, and the place of its first word in the binding.
  struct PartBinding {
    Binding binding;
    std::uint32_t offset = 0;  ///< in words; not 0 if the part begins at an unaligned address
  };
  /// Binds words [first, first + count) of a tensor. Throws Error(unsupported) if a binding cannot
  /// hold them.
  PartBinding bind_part(int index, Access access, std::int64_t first, std::int64_t count) const;
  Binding scratch(const ScratchPlan::Block& block, Access access) const;
  /// Words that are 0 when the launch begins, and must be 0 when it ends. Only this launch has them.
  Binding counters(std::int64_t n_words) const {
    return {Binding::Kind::counters, Access::read_write, -1, 0,
            static_cast<std::size_t>(n_words) * 4};
  }
  /// Binds the step buffer. Its page tables follow the header. They are part of the binding, but
  /// their size is known only when the binding is resolved.
  Binding step() const { return {.size_bytes = sizeof(StepHeader)}; }
  /// The page group of a state tensor.
  std::uint32_t page_group(int index) const {
    return static_cast<std::uint32_t>(value(index).page_group);
  }

  /// Strides of a state tensor in 4-byte words. Word i of slot s and version v is word
  /// s * slot + v * version + i of the tensor. A word holds one float32 or two float16 elements.
  struct StateStrides {
    std::uint32_t slot = 0;
    std::uint32_t version = 0;
  };
  StateStrides strides(int index) const;

 private:
  const StateLayout& layout_;
  std::size_t scratch_bytes_;
};

/// The range [first, end) of rows, outputs or elements.
struct Range {
  std::int64_t first = 0;
  std::int64_t end = 0;
};

/// Splits [0, n) into ranges of at most `most` elements.
std::vector<Range> pieces_of(std::int64_t n, std::int64_t most);

/// The largest number of rows of `row_bytes` bytes that one binding can hold. If one binding cannot
/// hold all n_rows rows, the number is rounded down, so that the next binding begins at an aligned
/// offset. Throws Error(unsupported) if it is 0. With `other_row_bytes`, the number also suits the
/// rows of a second tensor.
std::int64_t rows_per_binding(const DeviceCaps& caps, std::int64_t n_rows, std::int64_t row_bytes,
                              std::int64_t other_row_bytes = 0);

/// The part of a binding that holds some rows.
Binding rows_of(Binding binding, Range rows, std::int64_t row_bytes);

/// The number of threads of a workgroup, for kernels that need no specific number. It is a whole
/// number of subgroups, and at most `wanted` unless a single subgroup is larger.
std::uint32_t group_size(const DeviceCaps& caps, std::uint32_t wanted = 128);

/// The smallest number of subgroups that a workgroup of `group` threads can have. A driver may
/// choose any subgroup size up to max_subgroup_size.
inline std::uint32_t subgroups_per_group(const DeviceCaps& caps, std::uint32_t group) {
  return group / caps.max_subgroup_size;
}

/// Converts a dimension to the 32-bit number that shaders expect. Throws Error(unsupported) if the
/// dimension needs more bits.
std::uint32_t to_uint(std::int64_t dimension);

/// The largest number of rows, segments or outputs in a step of this graph. If no tensor of the
/// graph has this row space, the largest number in a step of any graph.
std::int64_t capacity_of(const Graph& graph, RowSpace space);

/// The number of workgroups that cover n elements, with `per_group` elements each.
inline std::uint32_t groups_for(std::int64_t n, std::int64_t per_group) {
  return to_uint(divide_up(n, per_group));
}

}  // namespace bitaxon::vulkan
