#pragma once
#include <cmath>

namespace daq {

// a * b + c, rounded once where the processor does that in one instruction.
inline float MultiplyAdd(float a, float b, float c) {
#ifdef __FMA__
  return std::fma(a, b, c);
#else
  return a * b + c;
#endif
}

}  // namespace daq
