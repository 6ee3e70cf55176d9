#version 450
#extension GL_GOOGLE_include_directive : require
#define MM_FLOAT16
#include "tile/moe_down_tile.glsl"
