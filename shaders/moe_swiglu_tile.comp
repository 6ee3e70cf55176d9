#version 450
#extension GL_GOOGLE_include_directive : require
#include "tile/moe_swiglu_tile.glsl"
