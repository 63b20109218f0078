#pragma once
#include <algorithm>
#include <bit>
#include <cstdint>

#include "base/multiply_add.h"

namespace daq {

// e^x in float32 for x <= 88, relative error below 2 ulp (a test sweeps all exponents); 0 for x <
// -87.3.
//
// Written here because a loop over std::exp does not vectorise without -ffast-math, and a library's
// vector version may round a loop's tail otherwise than its body. This is plain arithmetic, the
// same for each element. Method: x = n ln 2 + r with |r| <= ln 2 / 2 (ln 2 in two parts, so that r
// is exact to float), a polynomial of degree 6 for e^r (Cephes' expf coefficients), then n is added
// to the exponent bits.
inline float Exp(float x) {
  constexpr float kLowest = -87.3F;
  const float clamped = std::max(x, kLowest);
  // Adding and subtracting 1.5 * 2^23 rounds to the nearest integer; its low bits hold that
  // integer.
  constexpr float kRound = 12582912.0F;
  const float shifted = MultiplyAdd(clamped, 1.44269504088896341F, kRound);
  const float n = shifted - kRound;
  float r = MultiplyAdd(n, -0.693359375F, clamped);
  r = MultiplyAdd(n, 2.12194440e-4F, r);
  float p = 1.9875691500e-4F;
  p = MultiplyAdd(p, r, 1.3981999507e-3F);
  p = MultiplyAdd(p, r, 8.3334519073e-3F);
  p = MultiplyAdd(p, r, 4.1665795894e-2F);
  p = MultiplyAdd(p, r, 1.6666665459e-1F);
  p = MultiplyAdd(p, r, 5.0000001201e-1F);
  p = MultiplyAdd(p * r, r, r) + 1.0F;
  const auto exponent =
      (std::bit_cast<std::int32_t>(shifted) - std::bit_cast<std::int32_t>(kRound)) * (1 << 23);
  const float result = std::bit_cast<float>(std::bit_cast<std::int32_t>(p) + exponent);
  return x < kLowest ? 0.0F : result;
}

}  // namespace daq
