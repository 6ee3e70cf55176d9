// Loops over vectors that a compiler is to keep in registers. Included in the namespace of an
// instruction set, where BX_SIMD is the attribute of its functions.

template <int kValue>
struct Constant {
  constexpr operator int() const { return kValue; }
};

/// body(0), ..., body(kEnd - 1), the numbers being constants: a compiler keeps an array of vectors
/// in registers only where every index is known to it early.
template <int kEnd, int kBegin = 0, class Body>
BX_SIMD void unrolled(const Body& body) {
  if constexpr (kBegin < kEnd) {
    body(Constant<kBegin>());
    unrolled<kEnd, kBegin + 1>(body);
  }
}
