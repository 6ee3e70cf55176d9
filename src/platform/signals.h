// Ctrl-C as a flag, and writes that go nowhere as errors.
#pragma once

#include <signal.h>

#include <array>
#include <atomic>

namespace bitaxon {

/// From now on SIGINT ends the process with status 130, as a status and not as a signal's death,
/// until catch_interrupts() is called.
void exit_on_interrupt();

/// From now on the first SIGINT, SIGTERM or, unless it is ignored (nohup), SIGHUP sets the flag and
/// makes blocking reads return; a second one while the flag is set ends the process with status
/// 130. Clear the flag once it is served.
std::atomic<bool>& catch_interrupts();

/// While one lives, SIGINT, SIGTERM and SIGHUP wait, whichever thread they come to: for moments in
/// which ending would leave something behind. One at a time.
class SignalsHeld {
 public:
  SignalsHeld();
  SignalsHeld(const SignalsHeld&) = delete;
  SignalsHeld& operator=(const SignalsHeld&) = delete;
  ~SignalsHeld();

 private:
  std::array<struct sigaction, 3> before_{};
};

/// Writing to a closed pipe, or beyond the size that a file may have, becomes an error of the
/// write, which can be reported.
void ignore_signals_of_writes();

}  // namespace bitaxon
