// Selects the targets of Highway that are compiled. Include this before <hwy/foreach_target.h>.
// Targets whose vector size is not known at compile time are left out, because kernels keep their
// sums in arrays of vectors. BX_FEW_TARGETS leaves out SSE4, because the emulated target has
// vectors of the same length. BX_ONE_TARGET compiles only the lowest target.
#ifdef BX_ONE_TARGET
#define HWY_COMPILE_ONLY_STATIC
#endif
#ifndef HWY_DISABLED_TARGETS
#ifdef BX_FEW_TARGETS
#define BX_UNWANTED_TARGETS (HWY_SSSE3 | HWY_SSE4)
#else
#define BX_UNWANTED_TARGETS HWY_SSSE3
#endif
#define HWY_DISABLED_TARGETS \
  (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV | BX_UNWANTED_TARGETS)
#endif
