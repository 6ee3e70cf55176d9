// Products with AVX-512 VNNI, which multiplies and adds 16-bit pairs in one instruction. Highway
// 1.0 does not support it. This file is compiled with its own flags, so it must not contain
// functions that other files share, including templates of the standard library.
#include "cpu/simd/product_vnni.h"

#include <immintrin.h>

namespace bitaxon::cpu::vnni {
namespace {

#define BX_SIMD inline __attribute__((always_inline))
#define BX_SIMD_KERNEL __attribute__((noinline))
#define BX_SIMD_LAMBDA __attribute__((always_inline))

using I32 = __m512i;
using F32 = __m512;
using Table = __m512i;
using Map = __m512;
constexpr int kLanes = 16;
constexpr int kMaxRows = 8;  // more rows would need more registers than there are

BX_SIMD I32 zero_i() { return _mm512_setzero_si512(); }
BX_SIMD F32 zero_f() { return _mm512_setzero_ps(); }
BX_SIMD F32 splat(float x) { return _mm512_set1_ps(x); }
BX_SIMD I32 add(I32 a, I32 b) { return _mm512_add_epi32(a, b); }
BX_SIMD F32 add(F32 a, F32 b) { return _mm512_add_ps(a, b); }
BX_SIMD F32 multiply(F32 a, F32 b) { return _mm512_mul_ps(a, b); }
BX_SIMD F32 multiply_add(F32 a, F32 b, F32 c) { return _mm512_fmadd_ps(a, b, c); }
BX_SIMD F32 to_float(I32 v) { return _mm512_cvtepi32_ps(v); }
BX_SIMD void store(F32 v, float* to) { _mm512_storeu_ps(to, v); }
BX_SIMD I32 load_u32(const unsigned char* from) { return _mm512_load_si512(from); }
BX_SIMD I32 in_register(I32 v) {
  __asm__("" : "+v"(v));
  return v;
}
/// For weights that are read once. They need no place in the second cache. A longer distance gains
/// nothing, and it would read past the end of a range of tiles.
BX_SIMD void prefetch_once(const unsigned char* from) {
  _mm_prefetch(reinterpret_cast<const char*>(from) + 512, _MM_HINT_NTA);
}
BX_SIMD void prefetch(const unsigned char* from) {
  _mm_prefetch(reinterpret_cast<const char*>(from) + 4096, _MM_HINT_T0);
}

/// The floats of 8 bits, as formats/float8.h defines them.
BX_SIMD F32 from_e8m0(I32 bits) {
  I32 value = _mm512_slli_epi32(bits, 23);
  value = _mm512_mask_mov_epi32(value, _mm512_testn_epi32_mask(bits, bits),
                                _mm512_set1_epi32(0x00400000));
  const __mmask16 nan = _mm512_cmpeq_epi32_mask(bits, _mm512_set1_epi32(255));
  return _mm512_castsi512_ps(_mm512_mask_mov_epi32(value, nan, _mm512_set1_epi32(0x7fc00000)));
}

BX_SIMD F32 from_e4m3(I32 bits) {
  const I32 magnitude = _mm512_and_si512(bits, _mm512_set1_epi32(0x7f));
  const I32 sign = _mm512_slli_epi32(_mm512_and_si512(bits, _mm512_set1_epi32(0x80)), 24);
  // The bits in the places of float32, with another exponent. Numbers without an implicit one are
  // corrected by arithmetic on normal numbers, because arithmetic on subnormal numbers is slow.
  const F32 normal = _mm512_castsi512_ps(
      _mm512_add_epi32(_mm512_slli_epi32(magnitude, 20), _mm512_set1_epi32(120 << 23)));
  const F32 subnormal = multiply_add(normal, splat(2.0F), splat(-0x1p-6F));
  const __mmask16 small = _mm512_cmplt_epi32_mask(magnitude, _mm512_set1_epi32(8));
  const __mmask16 nan = _mm512_cmpeq_epi32_mask(magnitude, _mm512_set1_epi32(0x7f));
  I32 value = _mm512_castps_si512(_mm512_mask_mov_ps(normal, small, subnormal));
  value = _mm512_mask_mov_epi32(value, nan, _mm512_set1_epi32(0x7fc00000));
  return _mm512_castsi512_ps(_mm512_or_si512(value, sign));
}

BX_SIMD F32 load_scales(const unsigned char* from, ScaleType type) {
  if (type == ScaleType::e8m0 || type == ScaleType::e4m3) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
    const I32 bits = _mm512_cvtepu8_epi32(bytes);
    return type == ScaleType::e8m0 ? from_e8m0(bits) : from_e4m3(bits);
  }
  if (type == ScaleType::f32) return _mm512_loadu_ps(reinterpret_cast<const float*>(from));
  const __m256i half = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
  if (type == ScaleType::f16) return _mm512_cvtph_ps(half);
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16));
}

/// Loads a table that holds its sixteen values twice. For other codes, loads a mask. The instruction that reads the table uses
/// five bits of an index. The fifth bit belongs to another code, so it must not matter.
template <Codes kCodes>
BX_SIMD Table load_table(const int16_t* table) {
  if (kCodes == Codes::nibbles) return _mm512_set1_epi16(15);
  if (kCodes == Codes::bytes) return _mm512_set1_epi16(255);
  // The variant without a mask makes gcc 12 warn about its own header.
  return _mm512_maskz_broadcast_i64x4(0xff,
                                      _mm256_loadu_si256(reinterpret_cast<const __m256i*>(table)));
}

template <int kPlace, Codes kCodes>
BX_SIMD I32 weights(I32 words, Table table) {
  constexpr int kBits = kCodes == Codes::bytes ? 8 : 4;
  const I32 shifted = kPlace == 0 ? words : _mm512_srli_epi16(words, kBits * kPlace);
  if (kCodes == Codes::table) return _mm512_permutexvar_epi16(shifted, table);
  return kBits * (kPlace + 1) == 16 ? shifted : _mm512_and_si512(shifted, table);
}

BX_SIMD Map load_map(const float* values) {
  return values == nullptr ? zero_f() : _mm512_loadu_ps(values);
}
BX_SIMD F32 look_up(I32 code, Map map) { return _mm512_permutexvar_ps(code, map); }

template <int kShift, int kMask>
BX_SIMD I32 code_at(I32 words) {
  return _mm512_and_si512(_mm512_srli_epi32(words, kShift), _mm512_set1_epi32(kMask));
}

BX_SIMD I32 dot(I32 sum, I32 w, const int16_t* pair) {
  int32_t both;
  __builtin_memcpy(&both, pair, sizeof(both));
  return _mm512_dpwssd_epi32(sum, w, _mm512_set1_epi32(both));
}

#include "cpu/simd/product-inl.h"

}  // namespace

const ProductKernels kProducts = {kMaxRows, coded, dense, coded_exact, decode};

}  // namespace bitaxon::cpu::vnni
