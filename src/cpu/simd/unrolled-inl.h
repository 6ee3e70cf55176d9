// Loops over vectors that the compiler should keep in registers. Included in the namespace of an
// instruction set, where BX_SIMD is the attribute of its functions.

template <int kValue>
struct Constant {
  constexpr operator int() const { return kValue; }
};

/// Calls body(0), ..., body(kEnd - 1) with constants. A compiler keeps an array of vectors in
/// registers only if it knows every index early.
template <int kEnd, int kBegin = 0, class Body>
BX_SIMD void unrolled(const Body& body) {
  if constexpr (kBegin < kEnd) {
    body(Constant<kBegin>());
    unrolled<kEnd, kBegin + 1>(body);
  }
}
