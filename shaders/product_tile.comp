#version 450
#extension GL_GOOGLE_include_directive : require
#include "tile/product_tile.glsl"
