#include "platform/home_cores.h"

namespace bitaxon {

HomeCores::HomeCores(int n_threads) {
  CPU_ZERO(&all_);
  if (n_threads < 2 || ::sched_getaffinity(0, sizeof(all_), &all_) != 0 ||
      CPU_COUNT(&all_) != n_threads)
    return;
  for (int core = 0; core < CPU_SETSIZE; ++core)
    if (CPU_ISSET(core, &all_)) cores_.push_back(core);
}

// Where the system refuses, a thread wakes up where it likes: that is slower, not wrong.
void HomeCores::settle(int thread) const {
  if (cores_.empty()) return;
  cpu_set_t own;
  CPU_ZERO(&own);
  CPU_SET(cores_[static_cast<std::size_t>(thread)], &own);
  ::sched_setaffinity(0, sizeof(own), &own);
}

void HomeCores::leave() const {
  if (!cores_.empty()) ::sched_setaffinity(0, sizeof(all_), &all_);
}

}  // namespace bitaxon
