//   v, z = split(in_proj @ rms(x))
//   u[r, e] = silu(bias[e] + sum_k taps[e, k] * v[r - (K-1) + k, e]), older rows from the tail
#include "ops/ssm_in.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/fast/ssm_in.cpp"
#include "cpu/fast/simd_targets.h"
// After it.
#include <hwy/foreach_target.h>
// After that.
#include "cpu/fast/kernels.h"
#include "cpu/fast/matrix.h"
#include "cpu/fast/vector_math-inl.h"

#ifndef BX_CONVOLUTION
#define BX_CONVOLUTION
namespace bitaxon::cpu {

/// Some channels of one segment: everything points at the first of them.
struct Convolution {
  const float* v;     ///< [n_rows], rows d_inner apart
  const float* taps;  ///< [K], rows d_inner apart
  const float* bias;
  const float* tail_in;  ///< [K - 1], oldest first; nullptr: zeros
  float* tail_out;
  float* u;
  std::int64_t n_rows, n_channels, d_inner, d_conv;
};

}  // namespace bitaxon::cpu
#endif

HWY_BEFORE_NAMESPACE();
namespace bitaxon::cpu {
namespace HWY_NAMESPACE {
namespace {

/// Some lanes of channels at `e`, all rows.
template <class D>
void convolve_lanes(D d, const Convolution& conv, std::int64_t e) {
  using V = hn::Vec<D>;
  const auto row_of_v = [&](std::int64_t row) HWY_ATTR -> V {
    if (row >= 0) return hn::LoadU(d, conv.v + row * conv.d_inner + e);
    if (conv.tail_in == nullptr) return hn::Zero(d);
    return hn::LoadU(d, conv.tail_in + (conv.d_conv - 1 + row) * conv.d_inner + e);
  };
  for (std::int64_t r = 0; r < conv.n_rows; ++r) {
    V sum = hn::LoadU(d, conv.bias + e);
    for (std::int64_t k = 0; k < conv.d_conv; ++k)
      sum = hn::MulAdd(hn::LoadU(d, conv.taps + k * conv.d_inner + e),
                       row_of_v(r - (conv.d_conv - 1) + k), sum);
    hn::StoreU(silu_of(d, sum), d, conv.u + r * conv.d_inner + e);
  }
  // Ascending: where both tails are the same memory, row j + n_rows > j is read before it is
  // written.
  for (std::int64_t j = 0; j < conv.d_conv - 1; ++j)
    hn::StoreU(row_of_v(conv.n_rows - (conv.d_conv - 1) + j), d,
               conv.tail_out + j * conv.d_inner + e);
}

void convolve(const Convolution& conv) {
  const hn::CappedTag<float, 16> d;
  const std::int64_t lanes = hn::MaxLanes(d);
  std::int64_t e = 0;
  for (; e + lanes <= conv.n_channels; e += lanes) convolve_lanes(d, conv, e);
  for (; e < conv.n_channels; ++e) convolve_lanes(hn::CappedTag<float, 1>(), conv, e);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace bitaxon::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace bitaxon::cpu {
namespace {

HWY_EXPORT(convolve);

/// Channels of one work item: several cache lines of every row.
constexpr std::int64_t kChannels = 64;

struct Scratch {
  ScratchLayout layout;
  float* normed;  ///< [R, D]
  float* v;       ///< [R, E]
  MatrixRows rows;
  TileMemory memory;
  float* taps;  ///< [K, E]
  float* bias;  ///< [E]

  Scratch(std::byte* base, std::int64_t n_rows, std::int64_t d_model, std::int64_t d_inner,
          std::int64_t d_conv, int n_threads)
      : layout(base),
        normed(layout.take<float>(n_rows * d_model)),
        v(layout.take<float>(n_rows * d_inner)),
        rows(layout, n_rows, d_model),
        memory(layout, n_rows, d_model, 1, n_threads),
        taps(layout.take<float>(d_conv * d_inner)),
        bias(layout.take<float>(d_inner)) {}
};

void run(const KernelArgs& args) {
  using namespace ssm_in_operand;
  const PackedWeight& projection = args.weight(in_proj);
  const std::int64_t d_model = projection.desc.cols;
  const std::int64_t d_inner = args.shape(u)[1];
  const std::int64_t d_conv = args.weight(conv_weight).desc.cols;
  const std::int64_t n_rows = args.n_rows();
  Scratch scratch(args.scratch, args.shape(x)[0], d_model, d_inner, d_conv, args.pool.n_threads());
  const float* source = args.data(x);
  if (args.has(norm)) {
    norm_rows(args, source, args.weight(norm), args.params<SsmInParams>().eps, n_rows, d_model,
              scratch.normed);
    source = scratch.normed;
  }
  scratch.rows.prepare(args, source, n_rows, args.fast, {&projection});
  float* gate = args.data(z);
  for_each_tile(
      args, {&projection}, scratch.rows, n_rows, scratch.memory,
      [&](int, std::int64_t r, std::int64_t first, const float* values, std::int64_t count) {
        // A tile may hold outputs of both halves.
        for (std::int64_t i = 0; i < count; ++i) {
          const std::int64_t o = first + i;
          float* row = o < d_inner ? scratch.v : gate - d_inner;
          row[r * d_inner + o] = values[i];
        }
      });
  const float* taps = columns_of(args.weight(conv_weight), scratch.taps);
  const float* bias = columns_of(args.weight(conv_bias), scratch.bias);
  for (const SegmentWords& segment : args.segments()) {
    const float* tail_in =
        segment.position == 0 ? nullptr : args.state(tail, segment, segment.read_version);
    float* tail_out = args.state(tail, segment, segment.write_version);
    const std::int64_t row = segment.first_row * d_inner;
    const std::int64_t n_items = (d_inner + kChannels - 1) / kChannels;
    args.pool.parallel_for(
        n_items, segment.n_rows * kChannels * 4, [&](std::int64_t begin, std::int64_t end, int) {
          for (std::int64_t item = begin; item < end; ++item) {
            const std::int64_t e = item * kChannels;
            HWY_DYNAMIC_DISPATCH(convolve)
            ({scratch.v + row + e, taps + e, bias + e, tail_in == nullptr ? nullptr : tail_in + e,
              tail_out + e, args.data(u) + row + e, segment.n_rows,
              std::min(kChannels, d_inner - e), d_inner, d_conv});
          }
        });
  }
}

std::size_t workspace(const Graph& graph, const Node& node, int n_threads) {
  using namespace ssm_in_operand;
  const Shape& rows = graph.value(node.operands[x].value).shape;
  const Shape& conv = graph.value(node.operands[conv_weight].value).shape;
  return Scratch(nullptr, rows[0], rows[1], conv[1], conv[2], n_threads).layout.size_bytes();
}

}  // namespace

const CpuKernel fast_ssm_in{run, workspace};

}  // namespace bitaxon::cpu
#endif
