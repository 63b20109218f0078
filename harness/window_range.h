#pragma once
#include "base/matrix.h"

namespace daq {

// Windows first .. first + count - 1 of an evaluation.
struct WindowRange {
  Index first = 0;
  Index count = 0;

  Index end() const { return first + count; }
  bool operator==(const WindowRange&) const = default;
};

}  // namespace daq
