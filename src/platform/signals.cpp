#include "platform/signals.h"

#include <signal.h>
#include <unistd.h>

namespace bitaxon {
namespace {

constexpr int kInterruptedStatus = 130;
std::atomic<bool> interrupted{false};
static_assert(std::atomic<bool>::is_always_lock_free, "used in a signal handler");

void on_interrupt(int) {
  if (interrupted.exchange(true)) ::_exit(kInterruptedStatus);
}

void on_early_interrupt(int) { ::_exit(kInterruptedStatus); }

}  // namespace

void exit_on_interrupt() { ::signal(SIGINT, on_early_interrupt); }

std::atomic<bool>& catch_interrupts() {
  struct sigaction action {};
  action.sa_handler = on_interrupt;
  // No SA_RESTART: waiting for a line of input must end too.
  ::sigemptyset(&action.sa_mask);
  struct sigaction hangup {};
  ::sigaction(SIGHUP, nullptr, &hangup);
  if (hangup.sa_handler != SIG_IGN) ::sigaction(SIGHUP, &action, nullptr);
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
  return interrupted;
}

void ignore_signals_of_writes() {
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGXFSZ, SIG_IGN);
}

}  // namespace bitaxon
