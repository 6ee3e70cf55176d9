// The arguments of a CPU kernel, and the table of kernels.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "core/align.h"
#include "core/node_view.h"
#include "core/step.h"
#include "cpu/packed_weight.h"
#include "cpu/simd/product.h"
#include "cpu/thread_pool.h"
#include "ops/op.h"

namespace bitaxon::cpu {

/// The memory of an operand of a compiled node.
struct OperandMemory {
  std::byte* data = nullptr;             ///< nullptr if the operand is absent or a weight
  const PackedWeight* weight = nullptr;  ///< only for a weight
  // Only for a state tensor without pages:
  std::size_t slot_stride_bytes = 0;
  std::size_t version_stride_bytes = 0;
};

/// Computes where the rows of one sequence are in a tensor of pages.
struct PageRows {
  const StepWord* tables;
  std::uint32_t origin;  ///< page n is tables[origin + n]
  std::int64_t width;    ///< elements of a row

  /// The offset of the row of a position, in elements from the beginning of the tensor.
  std::int64_t at(std::int64_t position) const {
    const auto number = static_cast<std::uint32_t>(position / kPageRows);
    const std::int64_t page = tables[static_cast<std::uint32_t>(origin + number)];
    return (page * kPageRows + position % kPageRows) * width;
  }
};

/// The arguments of one kernel call. The member functions take the index of an operand in the order
/// of the op.
struct KernelArgs : NodeView {
  std::span<const OperandMemory> operands;
  std::byte* scratch;
  const StepBuffer& step;
  ThreadPool& pool;
  Precision precision = Precision::exact;
  const ProductKernels* products = nullptr;  ///< used only by vectorized kernels

  const OperandMemory& memory(int index) const { return operands[static_cast<std::size_t>(index)]; }
  template <class T = float>
  T* data(int index) const {
    return reinterpret_cast<T*>(memory(index).data);
  }
  const PackedWeight& weight(int index) const { return *memory(index).weight; }
  /// The elements of a state tensor in the slot of one segment, at one version.
  template <class T = float>
  T* state(int index, const SegmentWords& segment, std::uint32_t version) const {
    const OperandMemory& m = memory(index);
    return reinterpret_cast<T*>(m.data + m.slot_stride_bytes * segment.slot +
                                m.version_stride_bytes * version);
  }
  /// The places of a segment's rows in an operand that lives in pages.
  PageRows pages(int index, const SegmentWords& segment) const {
    const auto group = static_cast<std::uint32_t>(value(index).page_group);
    return {step.pages.data(), step.pages[segment.tables + group], shape(index)[1]};
  }
  std::span<const SegmentWords> segments() const { return {step.segments.data(), step.n_segments}; }
  std::int64_t n_rows() const { return step.n_rows; }
  /// The row of the step from which an output is computed.
  std::int64_t output_row(std::int64_t output) const {
    return step.output_rows[static_cast<std::size_t>(output)];
  }
  /// The number of rows of an activation that hold data in this step.
  std::int64_t valid_rows(int index) const {
    return rows_in(value(index).row_space, sizes_of(step));
  }
};

/// Lays out the scratch of a node. A kernel takes its blocks one after the other.
class ScratchLayout {
 public:
  explicit ScratchLayout(std::byte* base = nullptr) : base_(base) {}
  template <class T>
  T* take(std::int64_t count) {
    // Without a base, only the size is computed and no address, because arithmetic on a null
    // pointer is undefined.
    T* block = base_ == nullptr ? nullptr : reinterpret_cast<T*>(base_ + used_);
    used_ += align_up(static_cast<std::size_t>(count) * sizeof(T), 64);
    return block;
  }
  std::size_t size_bytes() const { return used_; }

 private:
  std::byte* base_;
  std::size_t used_ = 0;
};

struct CpuKernel {
  void (*run)(const KernelArgs& args);
  /// The bytes of scratch that the node needs if a step fills its bucket.
  std::size_t (*workspace)(const NodeView& node, int n_threads);
};

/// A kernel with scratch. The constructor Scratch(layout, node, n_threads) takes its blocks from a
/// ScratchLayout. The same constructor serves two purposes: it computes the size of the scratch,
/// and it places the blocks for `run(args, scratch)`. So the size always matches the blocks.
template <class Scratch, auto run>
constexpr CpuKernel kernel_with_scratch() {
  return {[](const KernelArgs& args) {
            ScratchLayout layout(args.scratch);
            Scratch scratch(layout, args, args.pool.n_threads());
            run(args, scratch);
          },
          [](const NodeView& node, int n_threads) {
            ScratchLayout layout;
            Scratch(layout, node, n_threads);
            return layout.size_bytes();
          }};
}

constexpr CpuKernel kernel_without_scratch(void (*run)(const KernelArgs& args)) {
  return {run, [](const NodeView&, int) { return std::size_t{0}; }};
}

// Each src/cpu/plain/<op>.cpp defines the kernel of its op.
#define BX_OP(name) extern const CpuKernel name##_kernel;
#include "ops/op_list.inc"
#undef BX_OP

/// The kernel of an op: the vectorized kernel if `vectorized` is set and one exists, else the plain
/// kernel.
const CpuKernel& kernel_of(OpId op, bool vectorized);

}  // namespace bitaxon::cpu
