// Argument rows with a norm, for lib/mat_vec.glsl:
//   n(v)[c] = norm[c] * v[c] / sqrt(mean(v^2) + eps), or v[c] without a norm
// The product runs on norm[c] * v[c]. The rest of the norm is a factor of the whole row. The
// squares for it are summed while the product reads the row: a subgroup reads each column once. So
// nothing has to be read or waited for before the product.
//
// After the products, norm_sum() adds up the squares, and norm_factor() gives the factor of a row.
//
// The including shader defines
//   NORM_ROWS  constant: the number of argument rows
//   MV_CODES   constant: see params/mat_vec.h
// and has kHasNorm and p.norm. NORM_DATA may name another place of the norm's address.
#ifndef BX_NORM_X_GLSL
#define BX_NORM_X_GLSL

#include "lib/lanes_sum.glsl"
#include "lib/weight.glsl"

#ifndef NORM_DATA
#define NORM_DATA p.norm.data
#endif

#ifdef BX_INTEGER_DOTS
// The sums of each subgroup, which has at least 4 lanes.
shared float norm_parts[gl_WorkGroupSize.x / 4 * NORM_ROWS];
#endif

float norm_squares[NORM_ROWS];
bool norm_sums_squares = true;  // false while the same rows are multiplied once more

void clear_norm() {
  for (uint r = 0; r < NORM_ROWS; ++r) norm_squares[r] = 0.0;
}

// `v` is element c of argument row r; or elements 4i..4i+3.
float norm_x(const uint r, const uint c, const float v) {
  if (!kHasNorm) return v;
  if (norm_sums_squares) norm_squares[r] = v * v + norm_squares[r];
  return v * Floats(NORM_DATA).at[c];
}
vec4 norm_x4(const uint r, const uint i, const vec4 v) {
  if (!kHasNorm) return v;
  if (norm_sums_squares)
    for (uint e = 0; e < 4; ++e) norm_squares[r] = v[e] * v[e] + norm_squares[r];
  // GPUs add the offset to the address in two instructions, and an index in five. A driver for CPUs has
  // vectors of addresses, and takes half as long again for the sums of two halves.
  if (MV_CODES == BX_CODES_IN_LANES) return v * FloatQuads(NORM_DATA).at[i];
  return v * FloatQuads(address_plus(NORM_DATA, 16 * i)).at[0];
}

// Adds up the squares of all lanes. All lanes of the subgroup must call this function together. With
// integer dot products, the whole workgroup reads each column once and must call it together; two calls
// must have a barrier between them. The rows are the inner loop, because compilers do not unroll a loop
// around one whose number of turns they do not know, and then keep the sums in memory.
void norm_sum() {
  if (!kHasNorm) return;
  for (uint r = 0; r < NORM_ROWS; ++r)
    norm_squares[r] = lanes_sum(norm_squares[r], 1, gl_SubgroupSize);
#ifdef BX_INTEGER_DOTS
  if (subgroupElect())
    for (uint r = 0; r < NORM_ROWS; ++r)
      norm_parts[gl_SubgroupID * NORM_ROWS + r] = norm_squares[r];
  barrier();
  for (uint r = 0; r < NORM_ROWS; ++r) norm_squares[r] = norm_parts[r];
  for (uint i = 1; i < gl_NumSubgroups; ++i)
    for (uint r = 0; r < NORM_ROWS; ++r) norm_squares[r] += norm_parts[i * NORM_ROWS + r];
#endif
}

// The factor of row r, after norm_sum().
float norm_factor(const uint r, const uint n_cols, const float eps) {
  return kHasNorm ? 1.0 / sqrt(norm_squares[r] / float(n_cols) + eps) : 1.0;
}

#endif
