#include "platform/home_cores.h"

namespace bitaxon {
namespace {

/// Whether the calling thread is bound to exactly these cores.
bool may_run_on(const cpu_set_t& cores) {
  cpu_set_t now;
  return ::sched_getaffinity(0, sizeof(now), &now) == 0 && CPU_EQUAL(&now, &cores);
}

void bind_to(const cpu_set_t& cores) { ::sched_setaffinity(0, sizeof(cores), &cores); }

}  // namespace

HomeCores::HomeCores(int n_threads) {
  CPU_ZERO(&all_);
  if (n_threads < 2 || ::sched_getaffinity(0, sizeof(all_), &all_) != 0 ||
      CPU_COUNT(&all_) != n_threads)
    return;
  for (int core = 0; core < CPU_SETSIZE; ++core)
    if (CPU_ISSET(core, &all_)) cores_.push_back(core);
}

// If the system refuses to bind a thread, the thread may wake on any core, which is only slower.
void HomeCores::settle(int thread) const {
  if (!cores_.empty() && may_run_on(all_)) bind_to(only(thread));
}

void HomeCores::leave(int thread) const {
  if (!cores_.empty() && may_run_on(only(thread))) bind_to(all_);
}

cpu_set_t HomeCores::only(int thread) const {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cores_[static_cast<std::size_t>(thread)], &set);
  return set;
}

}  // namespace bitaxon
