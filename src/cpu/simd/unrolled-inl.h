// Unrolled loops over arrays of vectors, which the compiler should keep in registers. A file
// includes this header inside the namespace of an instruction set. BX_SIMD is the attribute of the
// functions in that namespace.

template <int kValue>
struct Constant {
  constexpr operator int() const { return kValue; }
};

/// Calls body(kBegin), ..., body(kEnd - 1). The arguments are compile-time constants, because a
/// compiler keeps an array of vectors in registers only if it knows every index early.
template <int kEnd, int kBegin = 0, class Body>
BX_SIMD void unrolled(const Body& body) {
  if constexpr (kBegin < kEnd) {
    body(Constant<kBegin>());
    unrolled<kEnd, kBegin + 1>(body);
  }
}
