#include "methods/power.h"

#include <gtest/gtest.h>

#include <cmath>

namespace daq {
namespace {

TEST(PowerTest, LogIsWithinItsBoundOverAllExponents) {
  double worst = 0;
  for (std::uint32_t bits = 0x00800000; bits < 0x7f800000; bits += 9973) {
    const auto x = std::bit_cast<float>(bits);
    const double exact = std::log(static_cast<double>(x));
    worst = std::max(
        worst, std::abs(static_cast<double>(Log(x)) - exact) / std::max(1.0, std::abs(exact)));
  }
  EXPECT_LT(worst, 2e-7);
  EXPECT_EQ(Log(1.0F), 0.0F);
}

float Power(float x, float exponent) {
  std::array<float, 1> value = {x};
  RaiseToPower(exponent, &value);
  return value[0];
}

TEST(PowerTest, PowerIsWithinItsBound) {
  double worst = 0;
  for (const float exponent : {1.0F, 2.0F, 2.4F, 3.5F, 10.0F}) {
    for (double x = 1e-15; x < 4; x *= 1.0137) {
      const auto stored = static_cast<float>(x);
      const double exact = std::pow(static_cast<double>(stored), static_cast<double>(exponent));
      if (exact < 1e-30) continue;
      worst = std::max(worst, std::abs(static_cast<double>(Power(stored, exponent)) / exact - 1));
    }
    EXPECT_EQ(Power(0.0F, exponent), 0.0F);
    EXPECT_NEAR(static_cast<double>(Power(1.0F, exponent)), 1.0, 1e-7);
  }
  EXPECT_LT(worst, 1e-5);
}

}  // namespace
}  // namespace daq
