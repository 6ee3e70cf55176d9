// The selective scan of whole segments.
// lib/selective_scan.glsl has the formula and bindings 1 to 6.
//
// Bindings: step; then bindings 1 to 6
// A workgroup scans all rows of one segment (grid y), for the channels of its lanes (grid x). The
// result of a row does not depend on how rows are grouped into steps.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "lib/scan_segment.glsl"

void main() { scan_segment(step_.segments[gl_WorkGroupID.y]); }
