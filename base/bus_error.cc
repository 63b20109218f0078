#include "base/bus_error.h"

#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <string_view>

namespace daq {
namespace {

volatile std::sig_atomic_t exit_code_of_bus_errors = 0;

constexpr std::string_view kMessage =
    "daq-bench: a file was cut short while it was in use, or its disk failed or is full (bus "
    "error): finished results are kept, run again\n";

}  // namespace

void ExplainBusErrors(int exit_code) {
  exit_code_of_bus_errors = exit_code;
  struct sigaction action = {};
  action.sa_handler = [](int) {
    // Nothing but what a signal handler may call.
    [[maybe_unused]] const ssize_t written = ::write(2, kMessage.data(), kMessage.size());
    std::_Exit(exit_code_of_bus_errors);
  };
  sigemptyset(&action.sa_mask);
  sigaction(SIGBUS, &action, nullptr);
}

}  // namespace daq
