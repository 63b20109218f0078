#pragma once
#include <cmath>

namespace daq {

// a * b + c, rounded once where the processor does that in one instruction.
template <typename Number>
Number MultiplyAdd(Number a, Number b, Number c) {
#ifdef __FMA__
  return std::fma(a, b, c);
#else
  return a * b + c;
#endif
}

}  // namespace daq
