#pragma once
#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "base/exp.h"

namespace daq {

// The natural logarithm of a positive normal float, absolute error below 2e-7 for |log x| < 1 and
// relative error below 2e-7 otherwise.
//
// Written here for the reason given in base/exp.h: std::pow in the loop of a search over millions
// of weights does not vectorise. x = 2^n f with f in [sqrt(1/2), sqrt(2)); log f by a polynomial
// (Cephes' logf coefficients).
inline float Log(float x) {
  constexpr std::uint32_t kRootOfHalf = 0x3f3504f3;  // the bits of sqrt(1/2)
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(x) - kRootOfHalf;
  const auto n = static_cast<float>(static_cast<std::int32_t>(bits) >> 23);
  const float f = std::bit_cast<float>((bits & 0x7fffff) + kRootOfHalf) - 1.0F;
  float p = 7.0376836292e-2F;
  p = p * f - 1.1514610310e-1F;
  p = p * f + 1.1676998740e-1F;
  p = p * f - 1.2420140846e-1F;
  p = p * f + 1.4249322787e-1F;
  p = p * f - 1.6668057665e-1F;
  p = p * f + 2.0000714765e-1F;
  p = p * f - 2.4999993993e-1F;
  p = p * f + 3.3333331174e-1F;
  const float square = f * f;
  p = p * f * square + n * -2.12194440e-4F - 0.5F * square;
  return n * 0.693359375F + (p + f);
}

// Replaces each x, 0 <= x <= 4, by x^exponent, 1 <= exponent <= 10: relative error below 1e-5 where
// the result is at least 1e-30, 0 where x is 0 (the logarithm is taken as that of 1e-38, -87.5, and
// Exp is 0 from -87.3 on). Three loops, because compilers merge the conditionals of the steps into
// a jump that keeps one loop from becoming vector code.
template <std::size_t Size>
void RaiseToPower(float exponent, std::array<float, Size>* values) {
  for (float& value : *values) value = std::max(value, 1e-38F);
  for (float& value : *values) value = exponent * Log(value);
  for (float& value : *values) value = Exp(value);
}

}  // namespace daq
