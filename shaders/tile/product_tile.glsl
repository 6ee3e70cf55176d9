// y[r, o] = end(sum_c w[weight_row + o, c] * x[s(r), c])
//   end() adds a bias, and may add a residual or apply a gate: lib/product_end.glsl
// s(r) is source_of() in lib/product_rows.glsl.
//
// Bindings: step; x [., x_width]; other [., n_out] (or x again); y [., n_out]
// A workgroup computes ROWS rows of GROUP_SIZE outputs. Grid: x over outputs, y over rows.
#include "lib/product_rows.glsl"
#include "lib/weight.glsl"
#include "params/product_tile.h"

layout(local_size_x_id = BX_PRODUCT_TILE_GROUP_SIZE) in;
layout(constant_id = BX_PRODUCT_TILE_FORM) const uint kForm = 0;
layout(constant_id = BX_PRODUCT_TILE_OTHER) const uint kOther = 0;
layout(constant_id = BX_PRODUCT_TILE_SOURCE) const uint kSource = BX_ROWS_OF_TOKENS;
layout(constant_id = BX_PRODUCT_TILE_ROWS) const uint kRows = 64;
layout(constant_id = BX_PRODUCT_TILE_COLUMNS) const uint kColumns = BX_COLUMNS_ANY;
layout(constant_id = BX_PRODUCT_TILE_HAS_BIAS) const bool kHasBias = false;

// Both blocks are the same binding: the shader reads its memory as floats or as vec4s.
layout(set = 0, binding = 1, scalar) readonly buffer X { float x[]; };
layout(set = 0, binding = 1, scalar) readonly buffer X4 { vec4 x4[]; };
layout(set = 0, binding = 2, scalar) readonly buffer Other { float other[]; };
layout(set = 0, binding = 3, scalar) buffer Y { float y[]; };
layout(push_constant, scalar) uniform Push { ProductTilePush p; };

#include "lib/product_end.glsl"

uint first_row() { return p.first_row + gl_WorkGroupID.y * kRows; }
uint end_row() { return min(p.end_row, valid_rows(kSource)); }

// Where row m of the tile begins in x. A row at or beyond the end is the last one again.
uint x_row(const uint m) {
  return source_of(kSource, min(first_row() + m, end_row() - 1)) * p.x_width;
}

#define MM_X_ROW(m) x_row(m)
#define MM_X4(i) x4[i]
#define MM_X(i) x[i]
#include "lib/mat_mul.glsl"

void store(const uint sum, const uint row, const uint o) {
  const uint at = (row - p.first_row) * p.n_out + o;
  y[at] = product_end(mm_acc[sum], o, at);
}

void main() {
  if (first_row() < end_row()) {  // uniform in the workgroup
    const uint first_out = p.first_out + gl_WorkGroupID.x * gl_WorkGroupSize.x;
    mat_mul(p.weight, kForm, p.n_cols, p.weight_row + first_out, p.weight_row + p.end_out);
    // A condition for each store would cost some compilers more instructions than the store.
    const bool outs_exist = first_out + gl_WorkGroupSize.x <= p.end_out;  // uniform
    // Not `continue`: Intel's compiler does not unroll loops that have it, and then keeps mm_acc in
    // memory.
    [[unroll]] for (uint i = 0; i < kRows / 8; ++i) {
      const uint row = first_row() + mm_row(i);
      if (row < end_row()) {
        if (outs_exist) {
          [[unroll]] for (uint j = 0; j < 8; ++j) store(i * 8 + j, row, first_out + mm_out(j));
        } else {
          [[unroll]] for (uint j = 0; j < 8; ++j)
            if (first_out + mm_out(j) < p.end_out) store(i * 8 + j, row, first_out + mm_out(j));
        }
      }
    }
  }
}
