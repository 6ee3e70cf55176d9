// Starting threads, which the system may refuse.
#pragma once

#include <functional>
#include <thread>
#include <vector>

namespace bitaxon {

/// Starts a thread each for body(first) .. body(end - 1): all of them or none. When the system
/// refuses one, calls release(), which must make the bodies return, joins the threads that have
/// started, and throws Error(device) with `n_wanted`, the number of threads that were asked for.
std::vector<std::thread> start_threads(int first, int end, int n_wanted,
                                       const std::function<void(int index)>& body,
                                       const std::function<void()>& release);

}  // namespace bitaxon
