// The product kernels written with Highway, for machines that have no more specific kernels.
#include "cpu/simd/product.h"

#include <cstring>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/simd/product.cpp"
#include "cpu/simd/each_target.h"
// The rest must follow each_target.h.
#include <hwy/cache_control.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace bitaxon::cpu {
namespace HWY_NAMESPACE {

#if HWY_TARGET == HWY_SCALAR
// On a target without vectors, the plain kernels are as fast as these kernels would be.
const ProductKernels* product_kernels() { return nullptr; }
#else

namespace {

namespace hn = hwy::HWY_NAMESPACE;

#undef BX_SIMD
#undef BX_SIMD_KERNEL
#undef BX_SIMD_LAMBDA
#define BX_SIMD HWY_INLINE
#define BX_SIMD_KERNEL HWY_NOINLINE
#define BX_SIMD_LAMBDA HWY_ATTR

using DI = hn::CappedTag<std::int32_t, 16>;
using DU = hn::RebindToUnsigned<DI>;
using DF = hn::RebindToFloat<DI>;
using DBytes = hn::Repartition<std::uint8_t, DI>;
using DShort = hn::Repartition<std::int16_t, DI>;
using DHalf = hn::Rebind<std::uint16_t, DI>;
using I32 = hn::Vec<DI>;
using F32 = hn::Vec<DF>;
constexpr int kLanes = static_cast<int>(hn::MaxLanes(DI()));
// The largest number of rows whose sums fit in registers. Weights take one and a half vector
// registers, and each row takes two, for its sums and totals.
constexpr int kMaxRows = HWY_TARGET <= HWY_AVX3 ? 8 : 4;

/// A table of sixteen 16-bit values, split into their low bytes and their high bytes.
struct Table {
  hn::Vec<DBytes> low;
  hn::Vec<DBytes> high;
};

BX_SIMD I32 zero_i() { return hn::Zero(DI()); }
BX_SIMD F32 zero_f() { return hn::Zero(DF()); }
BX_SIMD F32 splat(float x) { return hn::Set(DF(), x); }
template <class V>
BX_SIMD V add(V a, V b) {
  return hn::Add(a, b);
}
BX_SIMD F32 multiply(F32 a, F32 b) { return hn::Mul(a, b); }
BX_SIMD F32 multiply_add(F32 a, F32 b, F32 c) { return hn::MulAdd(a, b, c); }
BX_SIMD F32 to_float(I32 v) { return hn::ConvertTo(DF(), v); }
BX_SIMD void store(F32 v, float* to) { hn::StoreU(v, DF(), to); }
BX_SIMD I32 load_u32(const unsigned char* from) {
  return hn::Load(DI(), reinterpret_cast<const std::int32_t*>(from));
}
BX_SIMD I32 in_register(I32 v) { return v; }
BX_SIMD void prefetch(const unsigned char* from) { hwy::Prefetch(from + 4096); }
BX_SIMD void prefetch_once(const unsigned char* from) { prefetch(from); }

/// The floats of 8 bits, as formats/float8.h defines them.
BX_SIMD F32 from_e8m0(I32 bits) {
  const auto two = hn::Set(DI(), 0x00400000);  // 2^-127
  const auto nan = hn::Set(DI(), 0x7fc00000);
  I32 value = hn::ShiftLeft<23>(bits);
  value = hn::IfThenElse(hn::Eq(bits, zero_i()), two, value);
  return hn::BitCast(DF(), hn::IfThenElse(hn::Eq(bits, hn::Set(DI(), 255)), nan, value));
}

BX_SIMD F32 from_e4m3(I32 bits) {
  const I32 magnitude = hn::And(bits, hn::Set(DI(), 0x7f));
  const I32 sign = hn::ShiftLeft<24>(hn::And(bits, hn::Set(DI(), 0x80)));
  // The bits in the places of float32, with another exponent. Numbers without an implicit one are
  // corrected by arithmetic on normal numbers, because arithmetic on subnormal numbers is slow.
  const F32 normal =
      hn::BitCast(DF(), hn::Add(hn::ShiftLeft<20>(magnitude), hn::Set(DI(), 120 << 23)));
  const F32 subnormal = multiply_add(normal, splat(2.0F), splat(-0x1p-6F));
  const auto is_small = hn::RebindMask(DF(), hn::Lt(magnitude, hn::Set(DI(), 8)));
  const I32 value = hn::BitCast(DI(), hn::IfThenElse(is_small, subnormal, normal));
  const auto is_nan = hn::Eq(magnitude, hn::Set(DI(), 0x7f));
  return hn::BitCast(DF(), hn::Or(sign, hn::IfThenElse(is_nan, hn::Set(DI(), 0x7fc00000), value)));
}

BX_SIMD F32 load_scales(const unsigned char* from, ScaleType type) {
  if (type == ScaleType::e8m0 || type == ScaleType::e4m3) {
    const I32 bits = hn::PromoteTo(DI(), hn::LoadU(hn::Rebind<std::uint8_t, DI>(), from));
    return type == ScaleType::e8m0 ? from_e8m0(bits) : from_e4m3(bits);
  }
  if (type == ScaleType::f32) return hn::LoadU(DF(), reinterpret_cast<const float*>(from));
  const auto bits = hn::LoadU(DHalf(), reinterpret_cast<const std::uint16_t*>(from));
  if (type == ScaleType::bf16)
    return hn::BitCast(DF(), hn::ShiftLeft<16>(hn::PromoteTo(DU(), bits)));
  return hn::PromoteTo(DF(), hn::BitCast(hn::Rebind<hwy::float16_t, DI>(), bits));
}

template <Codes kCodes>
BX_SIMD Table load_table(const std::int16_t* table) {
  alignas(16) std::uint8_t low[16] = {};
  alignas(16) std::uint8_t high[16] = {};
  for (int i = 0; table != nullptr && i < 16; ++i) {
    low[i] = static_cast<std::uint8_t>(static_cast<std::uint16_t>(table[i]) & 255u);
    high[i] = static_cast<std::uint8_t>(static_cast<std::uint16_t>(table[i]) >> 8);
  }
  return {hn::LoadDup128(DBytes(), low), hn::LoadDup128(DBytes(), high)};
}

template <int kPlace, Codes kCodes>
BX_SIMD I32 weights(I32 words, const Table& table) {
  if constexpr (kCodes == Codes::bytes)
    return hn::And(hn::ShiftRight<8 * kPlace>(words), hn::Set(DI(), 0x00ff00ff));
  const I32 codes = hn::And(hn::ShiftRight<4 * kPlace>(words), hn::Set(DI(), 0x000f000f));
  if constexpr (kCodes == Codes::nibbles) return codes;
  const auto byte_of = [](hn::Vec<DBytes> values, I32 indices) HWY_ATTR {
    return hn::BitCast(DI(), hn::TableLookupBytes(values, hn::BitCast(DBytes(), indices)));
  };
  const I32 low = hn::And(byte_of(table.low, codes), hn::Set(DI(), 0x00ff00ff));
  return hn::Or(low,
                hn::ShiftLeft<8>(hn::And(byte_of(table.high, codes), hn::Set(DI(), 0x00ff00ff))));
}

using Map = const float*;
BX_SIMD Map load_map(const float* values) { return values; }
BX_SIMD F32 look_up(I32 code, Map map) {
  if constexpr (kLanes == 16)
    return hn::TableLookupLanes(hn::LoadU(DF(), map), hn::IndicesFromVec(DF(), code));
  else
    return hn::GatherIndex(DF(), map, code);
}

template <int kShift, int kMask>
BX_SIMD I32 code_at(I32 words) {
  return hn::And(hn::BitCast(DI(), hn::ShiftRight<kShift>(hn::BitCast(DU(), words))),
                 hn::Set(DI(), kMask));
}

BX_SIMD I32 dot(I32 sum, I32 w, const std::int16_t* pair) {
  std::int32_t both = 0;
  std::memcpy(&both, pair, sizeof(both));
#if HWY_ARCH_X86 && HWY_TARGET != HWY_EMU128
  // On x86, ReorderWidenMulAccumulate does not reorder lanes, although its name allows that. Each
  // lane gets the products of its own pair.
  I32 unused = zero_i();
  return hn::ReorderWidenMulAccumulate(DI(), hn::BitCast(DShort(), w),
                                       hn::BitCast(DShort(), hn::Set(DI(), both)), sum, unused);
#else
  const I32 low = hn::Mul(hn::ShiftRight<16>(hn::ShiftLeft<16>(w)), hn::Set(DI(), pair[0]));
  return hn::Add(sum, hn::Add(low, hn::Mul(hn::ShiftRight<16>(w), hn::Set(DI(), pair[1]))));
#endif
}

#include "cpu/simd/product-inl.h"

}  // namespace

const ProductKernels* product_kernels() {
  static constexpr ProductKernels kKernels = {kMaxRows, coded, dense, coded_exact, decode};
  return &kKernels;
}

#endif

}  // namespace HWY_NAMESPACE
}  // namespace bitaxon::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace bitaxon::cpu {

HWY_EXPORT(product_kernels);

const ProductKernels* portable_products() { return HWY_DYNAMIC_DISPATCH(product_kernels)(); }

}  // namespace bitaxon::cpu
#endif
