// Where threads that sleep wake up.
#pragma once

#include <sched.h>

#include <vector>

namespace bitaxon {

/// A core for each thread of a group that is as large as the process has cores. Some kernels wake a
/// thread beside the one that wakes it although another core is idle, and leave it there for
/// milliseconds. So a thread goes to sleep on a core of its own; awake, it may run anywhere, as
/// where another process needs that core. Of a smaller group the system knows better: all does
/// nothing.
class HomeCores {
 public:
  explicit HomeCores(int n_threads);

  /// Binds the calling thread, the group's `thread`th from 0, to its core.
  void settle(int thread) const;
  /// Lets the calling thread run on any core that the process had at construction.
  void leave() const;

 private:
  cpu_set_t all_;
  std::vector<int> cores_;  ///< of each thread; empty: does nothing
};

}  // namespace bitaxon
