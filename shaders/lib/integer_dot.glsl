// Dot products of four signed bytes (SPV_KHR_integer_dot_product). A shader that calls dot4() runs
// only on devices with shaderIntegerDotProduct.
#ifndef BX_INTEGER_DOT_GLSL
#define BX_INTEGER_DOT_GLSL

#extension GL_EXT_spirv_intrinsics : require

// OpSDot with the capabilities DotProduct and DotProductInput4x8BitPacked. Format 0: packed vectors.
spirv_instruction(extensions = ["SPV_KHR_integer_dot_product"], capabilities = [6019, 6018],
                  id = 4450) int packed_dot(const uint a, const uint b,
                                            spirv_literal const int format);

// The sum of the products of the bytes of two words, which are signed.
int dot4(const uint a, const uint b) { return packed_dot(a, b, 0); }

#endif
