#pragma once
#include <exception>

namespace daq {

// Whether an exception says that the machine could not: a full or read-only disk, no memory. What
// was being computed when it was thrown is not to blame. The command line exits with code 3.
bool IsOfTheMachine(const std::exception& error);

}  // namespace daq
