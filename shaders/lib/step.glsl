// The step buffer. A shader that reads it binds it as binding 0.
#ifndef BX_STEP_GLSL
#define BX_STEP_GLSL

#extension GL_EXT_scalar_block_layout : require

#include "params/step.h"

// The segment that a row belongs to. Returns n_segments for rows beyond the last row.
uint segment_of(uint row) {
  uint g = 0;
  while (g < step_.n_segments &&
         row >= step_.segments[g].first_row + step_.segments[g].n_rows) ++g;
  return g;
}

// The row that holds a position of a segment, in tensors of the page group `group`.
uint page_row(const SegmentWords segment, const uint group, const uint position) {
  const uint origin = step_.pages[segment.tables + group];
  return step_.pages[origin + position / BX_PAGE_ROWS] * BX_PAGE_ROWS + position % BX_PAGE_ROWS;
}

#endif
