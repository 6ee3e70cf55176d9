#version 450
#extension GL_GOOGLE_include_directive : require
#define MM_FLOAT16
#include "tile/product_tile.glsl"
