// Philox4x32-10, a counter-based random number generator. The results equal those of
// src/core/philox.h. The test of philox.h also compiles this file as C++.
// Source: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3", section 4.3.
#ifndef BX_PHILOX_GLSL
#define BX_PHILOX_GLSL

#include "lib/u64.glsl"

// The first two words of the output. The counter has four words: `counter`, then two zeros.
uvec2 philox4x32(const uvec2 counter, const uvec2 key) {
  uint c0 = counter.x;
  uint c1 = counter.y;
  uint c2 = 0u;
  uint c3 = 0u;
  uint k0 = key.x;
  uint k1 = key.y;
  for (int i = 0; i < 10; ++i) {
    const uvec2 product0 = u64_product(0xD2511F53u, c0);
    const uvec2 product1 = u64_product(0xCD9E8D57u, c2);
    c0 = product1.y ^ c1 ^ k0;
    c1 = product1.x;
    c2 = product0.y ^ c3 ^ k1;
    c3 = product0.x;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return uvec2(c0, c1);
}

#endif
