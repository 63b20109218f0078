#include "base/exp.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace daq {
namespace {

// The header promises 2 units in the last place: the polynomial's own error is below 1, rounding of
// its last steps adds less than 1.
TEST(ExpTest, StaysWithinTwoUlpOverAllExponents) {
  double worst = 0;
  for (int step = -87300; step <= 88000; ++step) {
    const float x = static_cast<float>(step) * 1e-3F;
    const double expected = std::exp(static_cast<double>(x));
    const auto nearest = static_cast<float>(expected);
    const double ulp = static_cast<double>(
        std::nextafter(nearest, std::numeric_limits<float>::infinity()) - nearest);
    worst = std::max(worst, std::abs(static_cast<double>(Exp(x)) - expected) / ulp);
  }
  EXPECT_LT(worst, 2.0);
}

TEST(ExpTest, IsExactAtZeroAndZeroFarBelow) {
  EXPECT_EQ(Exp(0.0F), 1.0F);
  EXPECT_EQ(Exp(-88.0F), 0.0F);
  EXPECT_EQ(Exp(-1e30F), 0.0F);
  EXPECT_EQ(Exp(-std::numeric_limits<float>::infinity()), 0.0F);
}

}  // namespace
}  // namespace daq
