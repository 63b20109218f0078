#include "base/machine_error.h"

#include <new>
#include <system_error>

namespace daq {

bool IsOfTheMachine(const std::exception& error) {
  return dynamic_cast<const std::system_error*>(&error) != nullptr ||
         dynamic_cast<const std::bad_alloc*>(&error) != nullptr;
}

}  // namespace daq
