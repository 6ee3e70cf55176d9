// Values of the specialization constant OTHER of product shaders. The value says how an element of
// the result is made from a product v and from the element of binding `other`.
#ifndef BX_PARAMS_PRODUCT_END_H
#define BX_PARAMS_PRODUCT_END_H

#define BX_OTHER_NONE 0u   // v
#define BX_OTHER_ADDED 1u  // v + other: a residual
#define BX_OTHER_GATED 2u  // silu(v) * other: SwiGLU

#endif
