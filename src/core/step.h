// The step buffer: everything that changes from one step to the next, in one small block that
// kernels read. Only 4-byte fields, so that a GPU reads the same bytes (64-bit numbers are split).
#pragma once

#include <array>
#include <cstdint>
#include <type_traits>

namespace bitaxon {

/// Most rows (tokens) of one step, and with it the largest prefill chunk.
inline constexpr std::int32_t kMaxRows = 512;
/// Most sequences of one step.
inline constexpr std::int32_t kMaxSegments = 32;

struct U64Words {
  std::uint32_t low = 0;
  std::uint32_t high = 0;

  static constexpr U64Words of(std::uint64_t value) {
    return {static_cast<std::uint32_t>(value), static_cast<std::uint32_t>(value >> 32)};
  }
  constexpr std::uint64_t value() const { return std::uint64_t{high} << 32 | low; }
};

/// Sampler parameters as kernels read them. Neutral values switch a filter off.
struct SamplerWords {
  float temperature = 0;         ///< 0: argmax
  float repetition_penalty = 1;  ///< 1: off
  std::uint32_t top_k = 0;       ///< 0: off
  std::uint32_t use_top_p = 0;   ///< 0: off
  U64Words top_p_q32;            ///< round(top_p * 2^32)
  U64Words min_p_q32;            ///< round(min_p * 2^32); 0: off
  U64Words seed;
};

/// One sequence of the step: which rows are its, and which state they continue.
struct SegmentWords {
  std::uint32_t slot = 0;
  std::uint32_t first_row = 0;
  std::uint32_t n_rows = 0;
  std::uint32_t position = 0;        ///< of its first row; 0: the state counts as all zero
  std::uint32_t read_version = 0;    ///< of the versioned state
  std::uint32_t write_version = 0;   ///< may equal read_version when nothing is ever taken back
  std::uint32_t ids_from_state = 0;  ///< 1: its one token is what the previous step sampled
  std::uint32_t padding = 0;
  SamplerWords sampler;
};

struct StepBuffer {
  std::uint32_t n_rows = 0;
  std::uint32_t n_segments = 0;
  std::array<SegmentWords, kMaxSegments> segments{};
  std::array<std::int32_t, kMaxRows> ids{};
};
static_assert(std::is_trivially_copyable_v<StepBuffer>);
static_assert(sizeof(SegmentWords) == 72);

}  // namespace bitaxon
