#include "platform/signals.h"

#include <unistd.h>

namespace bitaxon {
namespace {

constexpr int kInterruptedStatus = 130;
std::atomic<bool> interrupted{false};
static_assert(std::atomic<bool>::is_always_lock_free && std::atomic<int>::is_always_lock_free,
              "used in signal handlers");

void on_interrupt(int) {
  if (interrupted.exchange(true)) ::_exit(kInterruptedStatus);
}

void on_early_interrupt(int) { ::_exit(kInterruptedStatus); }

constexpr std::array<int, 3> kEnding = {SIGINT, SIGTERM, SIGHUP};
std::atomic<int> held{0};  ///< the last delayed signal, or 0

void on_held(int signal) { held = signal; }

}  // namespace

void exit_on_interrupt() { ::signal(SIGINT, on_early_interrupt); }

std::atomic<bool>& catch_interrupts() {
  struct sigaction action {};
  action.sa_handler = on_interrupt;
  // SA_RESTART is not set, because a signal must also end the wait for a line of input.
  ::sigemptyset(&action.sa_mask);
  struct sigaction hangup {};
  ::sigaction(SIGHUP, nullptr, &hangup);
  if (hangup.sa_handler != SIG_IGN) ::sigaction(SIGHUP, &action, nullptr);
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
  return interrupted;
}

// A signal mask is not enough, because it applies to one thread, and any thread may get a signal.
SignalsHeld::SignalsHeld() {
  struct sigaction hold {};
  hold.sa_handler = on_held;
  ::sigemptyset(&hold.sa_mask);
  for (std::size_t i = 0; i < kEnding.size(); ++i) {
    ::sigaction(kEnding[i], nullptr, &before_[i]);
    if (before_[i].sa_handler != SIG_IGN) ::sigaction(kEnding[i], &hold, nullptr);
  }
}

SignalsHeld::~SignalsHeld() {
  for (std::size_t i = 0; i < kEnding.size(); ++i) ::sigaction(kEnding[i], &before_[i], nullptr);
  if (const int signal = held.exchange(0); signal != 0) ::raise(signal);
}

void ignore_signals_of_writes() {
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGXFSZ, SIG_IGN);
}

}  // namespace bitaxon
