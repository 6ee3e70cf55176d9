// Where threads that sleep wake up.
#pragma once

#include <sched.h>

#include <vector>

namespace bitaxon {

/// A core for each thread of a group that is as large as the constructing thread has cores. Some
/// kernels wake a thread beside the one that wakes it although another core is idle, and leave it
/// there for milliseconds. So a thread goes to sleep on a core of its own; awake, it may run
/// anywhere, as where another process needs that core. Of a smaller group the system knows better:
/// all does nothing.
class HomeCores {
 public:
  explicit HomeCores(int n_threads);

  /// Binds the calling thread, the group's `thread`th from 0, to its core, unless somebody has
  /// taken cores from it since construction.
  void settle(int thread) const;
  /// Lets it run on all of them again, unless somebody has bound it otherwise meanwhile.
  void leave(int thread) const;

 private:
  cpu_set_t only(int thread) const;

  cpu_set_t all_;
  std::vector<int> cores_;  ///< of each thread; empty: does nothing
};

}  // namespace bitaxon
