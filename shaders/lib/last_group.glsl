// Several workgroups work for one result. The one that finishes last learns it, and sums up what the
// others have written, so that no second launch is needed. No workgroup waits for another one.
//
// The including shader declares `coherent buffer Counters { uint counters[]; }`, and `coherent` for
// every buffer in which workgroups leave results for the last one. Counters are 0 before the launch
// and after it.
#ifndef BX_LAST_GROUP_GLSL
#define BX_LAST_GROUP_GLSL

shared bool shared_is_last;

// Whether this workgroup is the last of n that call this function with the same counter. Then it
// sees everything that the others have written before their calls. All invocations must call this
// function, in uniform control flow.
bool is_last_group(const uint counter, const uint n) {
  memoryBarrierBuffer();
  barrier();
  if (gl_LocalInvocationIndex == 0) {
    shared_is_last = atomicAdd(counters[counter], 1u) == n - 1;
    if (shared_is_last) atomicExchange(counters[counter], 0u);
  }
  barrier();
  memoryBarrierBuffer();
  return shared_is_last;
}

#endif
