// Ctrl-C as a flag, and broken pipes as errors.
#pragma once

#include <atomic>

namespace bitaxon {

/// From now on SIGINT ends the process with status 130, as a status and not as a signal's death,
/// until catch_interrupts() is called.
void exit_on_interrupt();

/// From now on the first SIGINT or SIGTERM sets the flag and makes blocking reads return; a second
/// one while the flag is set ends the process with status 130. Clear the flag once it is served.
std::atomic<bool>& catch_interrupts();

/// Writing to a closed pipe becomes an error of the write, which can be reported.
void ignore_broken_pipes();

}  // namespace bitaxon
