// Which of Highway's targets are compiled. To be included before <hwy/foreach_target.h>.
// Vectors of unknown size cannot be members of arrays, which the kernels keep their sums in.
#ifndef HWY_DISABLED_TARGETS
#define HWY_DISABLED_TARGETS (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV | HWY_SSSE3)
#endif
