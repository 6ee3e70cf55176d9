// Binds sleeping threads to the cores on which they wake up.
#pragma once

#include <sched.h>

#include <vector>

namespace bitaxon {

/// Assigns one core to each thread of a group of threads. Some kernels wake a thread on the core of
/// the thread that woke it, although another core is idle, and leave it there for milliseconds. So
/// each thread goes to sleep on its own core. An awake thread may run on any core, because another
/// process may need its core. The functions do nothing unless the group has as many threads as the
/// constructing thread may use cores. The system places groups of other sizes better.
class HomeCores {
 public:
  explicit HomeCores(int n_threads);

  /// Binds the calling thread to its core. `thread` is its index in the group, from 0. Does nothing
  /// when the cores that the thread may use have changed since construction.
  void settle(int thread) const;
  /// Lets the calling thread run on all cores again, unless other code has bound it to other cores
  /// since settle().
  void leave(int thread) const;

 private:
  cpu_set_t only(int thread) const;

  cpu_set_t all_;
  std::vector<int> cores_;  ///< the core of each thread; empty if the functions do nothing
};

}  // namespace bitaxon
