#include "base/interrupt.h"

#include <atomic>
#include <csignal>

#include "base/error.h"

namespace daq {
namespace {

std::atomic<bool> interrupt_requested{false};
static_assert(std::atomic<bool>::is_always_lock_free, "a signal handler sets it");

}  // namespace

void CatchInterrupts() {
  // SA_RESETHAND: the first signal asks, a second one has its default effect.
  struct sigaction action = {};
  action.sa_handler = [](int) { interrupt_requested.store(true); };
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

bool InterruptRequested() { return interrupt_requested.load(std::memory_order_relaxed); }

void ThrowIfInterrupted() {
  if (InterruptRequested()) throw Interrupted();
}

void RequestInterrupt(bool requested) { interrupt_requested.store(requested); }

}  // namespace daq
