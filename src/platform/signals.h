// Turns Ctrl-C into a flag, and signals from failed writes into errors.
#pragma once

#include <signal.h>

#include <array>
#include <atomic>

namespace bitaxon {

/// From this call until catch_interrupts(), SIGINT makes the process exit with status 130. The
/// parent process sees that exit status and not a death by signal.
void exit_on_interrupt();

/// From this call on, the first SIGINT or SIGTERM sets the flag and makes blocking reads return.
/// SIGHUP does the same unless it is ignored (nohup). A second signal while the flag is set ends
/// the process with status 130. Clear the flag after handling it.
std::atomic<bool>& catch_interrupts();

/// While the object lives, SIGINT, SIGTERM and SIGHUP are delayed in all threads. Use it while an
/// exit would leave temporary files behind. Only one object may live at a time.
class SignalsHeld {
 public:
  SignalsHeld();
  SignalsHeld(const SignalsHeld&) = delete;
  SignalsHeld& operator=(const SignalsHeld&) = delete;
  ~SignalsHeld();

 private:
  std::array<struct sigaction, 3> before_{};
};

/// Makes writes to a closed pipe or beyond the file size limit fail with an error that the program
/// can report. By default a signal would end the process.
void ignore_signals_of_writes();

}  // namespace bitaxon
