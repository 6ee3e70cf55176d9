// Compiles the including file once for each instruction set, through Highway. The file begins with
//
//   #undef HWY_TARGET_INCLUDE
//   #define HWY_TARGET_INCLUDE "cpu/simd/<file>.cpp"
//   #include "cpu/simd/each_target.h"
//
// and then includes Highway's other headers and the headers "*-inl.h". Highway includes the file
// again for each instruction set, and once more with HWY_ONCE. Headers "*-inl.h" are compiled each
// time, other headers only the first time.
#include "cpu/simd/simd_targets.h"
// foreach_target.h must follow simd_targets.h, or all targets are compiled.
#include <hwy/foreach_target.h>
