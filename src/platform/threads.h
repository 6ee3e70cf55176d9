// Starts threads. The system may refuse to start a thread.
#pragma once

#include <functional>
#include <thread>
#include <vector>

namespace bitaxon {

/// Starts one thread for each of body(first) .. body(end - 1). When the system refuses to start a
/// thread, calls release(), which must make all bodies return, and joins the threads that have
/// started. Then throws Error(device). The message names `n_wanted`, the requested number of
/// threads.
std::vector<std::thread> start_threads(int first, int end, int n_wanted,
                                       const std::function<void(int index)>& body,
                                       const std::function<void()>& release);

}  // namespace bitaxon
