#version 450
#extension GL_GOOGLE_include_directive : require
#include "vec/moe_down.glsl"
