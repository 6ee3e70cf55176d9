// The step buffer: everything that changes from one step to the next, in one small block that
// kernels read. C++ and GLSL both include this file. All members are 4-byte scalars or pairs of
// 4-byte scalars, so that with scalar layout both languages agree on every offset.
#ifndef BX_PARAMS_STEP_H
#define BX_PARAMS_STEP_H

// The largest number of rows (tokens) of one step, and so of tokens in a prefill chunk.
#define BX_MAX_ROWS 512
// The largest number of segments (sequences) of one step.
#define BX_MAX_SEGMENTS 32
// The number of rows of a page of the KV cache: keys, or values, of consecutive positions.
#define BX_PAGE_ROWS 64

// The value of SegmentWords::sampled_output for a segment that samples no token.
#define BX_SAMPLES_NOTHING 0xffffffffu
// Values that the sampler returns for a segment instead of a token.
#define BX_TOKEN_NOT_FINITE -1   // the logits hold a NaN, or the largest one is not finite
#define BX_TOKEN_NOT_SAMPLED -2  // the segment samples nothing

#ifdef __cplusplus
#include <array>
#include <cstdint>
#include <vector>
namespace bitaxon {
using StepWord = std::uint32_t;
using StepInt = std::int32_t;
// A 64-bit number.
struct U64Words {
  std::uint32_t low = 0;
  std::uint32_t high = 0;

  static constexpr U64Words of(std::uint64_t value) {
    return {static_cast<std::uint32_t>(value), static_cast<std::uint32_t>(value >> 32)};
  }
  constexpr std::uint64_t value() const { return std::uint64_t{high} << 32 | low; }
};
#define BX_NEUTRAL(value) = value
#define BX_ARRAY(type, name, n) \
  std::array<type, n> name {}
#else
#define StepWord uint
#define StepInt int
#define U64Words uvec2
#define BX_NEUTRAL(value)
#define BX_ARRAY(type, name, n) type name[n]
#endif

// The parameters of the sampler. By default, the sampler takes the best token and every filter is
// off.
struct SamplerWords {
  float temperature BX_NEUTRAL(0);         // 0: argmax
  float repetition_penalty BX_NEUTRAL(1);  // 1: off
  StepWord top_k BX_NEUTRAL(0);            // 0: off
  StepWord use_top_p BX_NEUTRAL(0);        // 0: off
  U64Words top_p_q32;                      // round(top_p * 2^32)
  U64Words min_p_q32;                      // round(min_p * 2^32); 0: off
  U64Words seed;
};

// One segment of the step: consecutive rows of one sequence, and the state that these rows
// continue.
struct SegmentWords {
  StepWord slot BX_NEUTRAL(0);
  StepWord first_row BX_NEUTRAL(0);
  StepWord n_rows BX_NEUTRAL(0);
  StepWord position BX_NEUTRAL(0);        // position of the first row; at 0 the old state is zero
  StepWord read_version BX_NEUTRAL(0);    // the version of the state to read
  StepWord write_version BX_NEUTRAL(0);   // equals read_version if steps are never taken back
  StepWord ids_from_state BX_NEUTRAL(0);  // 1: the only id is the latest sampled token
  StepWord sampled_output BX_NEUTRAL(BX_SAMPLES_NOTHING);  // the output whose logits are sampled
  // The place in `pages` where the tables of the segment begin. The first words are the origin of
  // each page group: page n of the sequence, which holds the positions from n * BX_PAGE_ROWS on, is
  // pages[origin + n]. The sum wraps around, because a table begins with the oldest page that the
  // sequence still has.
  StepWord tables BX_NEUTRAL(0);
  // 0: no later step continues the segment, so its recurrent state is not written. Such segments may
  // share a slot.
  StepWord keeps_state BX_NEUTRAL(1);
  // Numbers of the segment's sequence for the masks of dropout: its micro-batch, and the row of its
  // position 0 in the micro-batch.
  StepWord micro_batch BX_NEUTRAL(0);
  StepWord micro_row BX_NEUTRAL(0);
  SamplerWords sampling;
};

#ifdef __cplusplus
// The part of a step buffer that has a fixed size. The page tables follow.
struct StepHeader {
#else
layout(set = 0, binding = 0, scalar) readonly restrict buffer Step {
#endif
  StepWord n_rows BX_NEUTRAL(0);
  StepWord n_segments BX_NEUTRAL(0);
  StepWord n_outputs BX_NEUTRAL(0);
  StepWord store_row BX_NEUTRAL(0);  // the row of a store that belongs to row 0 of the step
  BX_ARRAY(SegmentWords, segments, BX_MAX_SEGMENTS);
  BX_ARRAY(StepWord, output_rows, BX_MAX_ROWS);  // output o is computed from this row
  BX_ARRAY(StepInt, ids, BX_MAX_ROWS);
#ifdef __cplusplus
};

struct StepBuffer : StepHeader {
  std::vector<StepWord> pages;  // tables of the segments, see SegmentWords::tables
};
}  // namespace bitaxon
#else
  uint pages[];
}
step_;
#undef StepWord
#undef StepInt
#undef U64Words
#endif
#undef BX_NEUTRAL
#undef BX_ARRAY

#endif
