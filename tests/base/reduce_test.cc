#include "base/reduce.h"

#include <gtest/gtest.h>

#include <vector>

namespace daq {
namespace {

TEST(ReduceTest, AddsEveryElementOnceAtAllLengths) {
  for (std::size_t count : {0U, 1U, 7U, 8U, 9U, 15U, 16U, 17U, 100U}) {
    std::vector<double> values(count);
    for (std::size_t i = 0; i < count; ++i) values[i] = static_cast<double>(i + 1);
    EXPECT_EQ(Sum(values), static_cast<double>(count * (count + 1)) / 2) << count;
  }
}

// The same numbers at every offset from an aligned address give the same bits.
TEST(ReduceTest, DoesNotDependOnAlignment) {
  std::vector<float> values(1000);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = 1.0F / static_cast<float>(i + 3);
  const double expected = SquaredNorm(values);
  for (std::size_t offset = 1; offset < 17; ++offset) {
    std::vector<float> shifted(values.size() + offset);
    std::copy(values.begin(), values.end(), shifted.begin() + static_cast<std::ptrdiff_t>(offset));
    EXPECT_EQ(SquaredNorm(std::span<const float>(shifted).subspan(offset)), expected) << offset;
  }
}

TEST(ReduceTest, SquaredDistanceIsTakenInDouble) {
  const std::vector<float> a = {1e8F, 1.0F};
  const std::vector<float> b = {1e8F - 8.0F, 0.5F};
  EXPECT_EQ(SquaredDistance(a, b), 64.25);
}

}  // namespace
}  // namespace daq
