// Compiles the including file once for each instruction set, through Highway. The file begins with
//
//   #undef HWY_TARGET_INCLUDE
//   #define HWY_TARGET_INCLUDE "cpu/simd/<file>.cpp"
//   #include "cpu/simd/each_target.h"
//
// and then includes Highway's other headers and the headers "*-inl.h". Highway includes the file
// again for each instruction set. In the last pass HWY_ONCE is set. The compiler reads headers
// "*-inl.h" in each pass, and other headers only in the first pass.
#include "cpu/simd/simd_targets.h"
// foreach_target.h must follow simd_targets.h, because otherwise all targets are compiled.
#include <hwy/foreach_target.h>
