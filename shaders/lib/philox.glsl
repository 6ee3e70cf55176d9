// Philox4x32-10, a counter-based random number generator. The results equal those of
// src/core/philox.h. The test of philox.h also compiles this file as C++.
// Source: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3", section 4.3.
#ifndef BX_PHILOX_GLSL
#define BX_PHILOX_GLSL

#include "lib/u64.glsl"

struct PhiloxWords {
  uint w0;
  uint w1;
  uint w2;
  uint w3;
};

// All four words of the output. `low` and `high` are the halves of the counter.
PhiloxWords philox4x32_words(const uvec2 low, const uvec2 high, const uvec2 key) {
  uint c0 = low.x;
  uint c1 = low.y;
  uint c2 = high.x;
  uint c3 = high.y;
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
  PhiloxWords words;
  words.w0 = c0;
  words.w1 = c1;
  words.w2 = c2;
  words.w3 = c3;
  return words;
}

// The first two words of the output for the counter (counter, 0).
uvec2 philox4x32(const uvec2 counter, const uvec2 key) {
  const PhiloxWords words = philox4x32_words(counter, uvec2(0u, 0u), key);
  return uvec2(words.w0, words.w1);
}

#endif
