// Splits the rows of a step into chunks. Each segment is split separately, into chunks of
// chunk_rows rows; its last chunk may have fewer rows. Every chunk except the last one of its
// segment has a place, which is an index in the scratch arrays of the scan. The places of one
// segment are consecutive.
#ifndef BX_SCAN_CHUNKS_GLSL
#define BX_SCAN_CHUNKS_GLSL

#include "lib/step.glsl"

uint n_chunks_of(const uint g, const uint chunk_rows) {
  return (step_.segments[g].n_rows + chunk_rows - 1) / chunk_rows;
}

// The place of the first chunk of segment g.
uint first_place_of(const uint g, const uint chunk_rows) {
  uint place = 0;
  for (uint before = 0; before < g; ++before) place += n_chunks_of(before, chunk_rows) - 1;
  return place;
}

#endif
