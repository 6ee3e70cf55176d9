// The step buffer, laid out as in src/core/step.h: the data that changes from step to step. A
// shader that reads it binds it as binding 0.
#ifndef BX_STEP_GLSL
#define BX_STEP_GLSL

#extension GL_EXT_scalar_block_layout : require

struct SamplerWords {
  float temperature;
  float repetition_penalty;
  uint top_k;
  uint use_top_p;
  uvec2 top_p_q32;
  uvec2 min_p_q32;
  uvec2 seed;
};

struct Segment {
  uint slot;
  uint first_row;
  uint n_rows;
  uint position;
  uint read_version;
  uint write_version;
  uint ids_from_state;
  uint padding;
  SamplerWords sampler_words;
};

const uint kMaxSegments = 32;
const uint kMaxRows = 512;

layout(set = 0, binding = 0, scalar) readonly restrict buffer Step {
  uint n_rows;
  uint n_segments;
  Segment segments[kMaxSegments];
  int ids[kMaxRows];
} step_;

// The segment that a row belongs to. Returns n_segments for rows beyond the last.
uint segment_of(uint row) {
  uint g = 0;
  while (g < step_.n_segments &&
         row >= step_.segments[g].first_row + step_.segments[g].n_rows) ++g;
  return g;
}

#endif
