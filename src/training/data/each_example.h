// Work on many examples with all cores.
#pragma once

#include <cstddef>
#include <functional>

namespace bitaxon {

/// Calls body(i) once for each i below `n`, on several threads. If calls throw, throws what the call
/// with the lowest i has thrown. Some of the later calls are then left out. `on_progress`, which may
/// be empty, receives the share that is done, from any thread, but never from two at once.
void for_each_example(std::size_t n, const std::function<void(std::size_t)>& body,
                      const std::function<void(double)>& on_progress = {});

}  // namespace bitaxon
