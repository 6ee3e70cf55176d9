// The arguments of a CPU kernel, and the table of kernels.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "core/align.h"
#include "core/graph.h"
#include "core/step.h"
#include "cpu/packed_weight.h"
#include "cpu/simd/product.h"
#include "cpu/thread_pool.h"
#include "ops/op.h"

namespace bitaxon::cpu {

/// One operand of a compiled node.
struct View {
  std::byte* data = nullptr;             ///< nullptr: absent (or a weight)
  const PackedWeight* weight = nullptr;  ///< for weights
  DType dtype = DType::f32;
  RowSpace row_space = RowSpace::none;
  Shape shape;
  std::size_t slot_stride_bytes = 0;     ///< state only
  std::size_t version_stride_bytes = 0;  ///< state only
};

/// The arguments of one kernel call. Accessors take the operand's index in the op's order.
struct KernelArgs {
  const Node& node;
  std::span<const View> operands;
  std::byte* scratch;
  const StepBuffer& step;
  ThreadPool& pool;
  bool fast = false;                         ///< products may be of reduced precision
  const ProductKernels* products = nullptr;  ///< for the vectorized kernels; nullptr for plain ones

  bool has(int index) const { return view(index).data != nullptr || view(index).weight != nullptr; }
  const View& view(int index) const { return operands[static_cast<std::size_t>(index)]; }
  const Shape& shape(int index) const { return view(index).shape; }
  template <class T = float>
  T* data(int index) const {
    return reinterpret_cast<T*>(view(index).data);
  }
  const PackedWeight& weight(int index) const { return *view(index).weight; }
  /// A state tensor of one segment, at one version.
  template <class T = float>
  T* state(int index, const SegmentWords& segment, std::uint32_t version) const {
    const View& v = view(index);
    return reinterpret_cast<T*>(v.data + v.slot_stride_bytes * segment.slot +
                                v.version_stride_bytes * version);
  }
  template <class Params>
  Params params() const {
    return node.params_as<Params>();
  }
  std::span<const SegmentWords> segments() const { return {step.segments.data(), step.n_segments}; }
  std::int64_t n_rows() const { return step.n_rows; }
  /// The row of the step that an output is computed from.
  std::int64_t output_row(std::int64_t output) const {
    return step.output_rows[static_cast<std::size_t>(output)];
  }
  /// The rows of an activation that hold data in this step.
  std::int64_t valid_rows(int index) const {
    return rows_in(view(index).row_space, sizes_of(step));
  }
};

/// Lays out the scratch of a node: a kernel takes consecutive blocks, always in the same order.
class ScratchLayout {
 public:
  explicit ScratchLayout(std::byte* base = nullptr) : base_(base) {}
  template <class T>
  T* take(std::int64_t count) {
    // Without a base, only the size is computed: arithmetic on a null pointer is undefined.
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
  /// Bytes of scratch for the node's full bucket.
  std::size_t (*workspace)(const Graph& graph, const Node& node, int n_threads);
};

// Each src/cpu/plain/<op>.cpp defines the kernel of its op.
#define BX_OP(name) extern const CpuKernel name##_kernel;
#include "ops/op_list.inc"
#undef BX_OP

/// If `vectorized`, the vectorized kernel of the op where one exists.
const CpuKernel& kernel_of(OpId op, bool vectorized);

}  // namespace bitaxon::cpu
