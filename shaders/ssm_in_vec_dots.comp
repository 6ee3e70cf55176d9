#version 450
#extension GL_GOOGLE_include_directive : require
#define BX_INTEGER_DOTS
#include "vec/ssm_in_vec.glsl"
