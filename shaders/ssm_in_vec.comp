#version 450
#extension GL_GOOGLE_include_directive : require
#include "vec/ssm_in_vec.glsl"
