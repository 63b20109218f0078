#include "methods/minmax_grid.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/methods/matrices.h"
#include "tests/support/input_error.h"

namespace daq {
namespace {

Format Asymmetric(std::string_view name) { return {.codebook = BuiltIn(name, false)}; }
Format Symmetric(std::string_view name) {
  return {.codebook = BuiltIn(name, true), .symmetric = true};
}

constexpr GridRules kAwq{.round_zero_point = true, .include_zero = false};
constexpr GridRules kGptq{.round_zero_point = true, .include_zero = true};
constexpr GridRules kDaq{.round_zero_point = false, .include_zero = false};

TEST(MinMaxGridTest, AsymmetricIntegersAsLlmAwq) {
  const GroupGrid grid = LayGrid({-1.0F, 2.0F}, kAwq, Asymmetric("int4"));
  EXPECT_EQ(grid.scale, 3.0F / 15.0F);
  EXPECT_EQ(grid.zero_point, 5.0F);
  // -lowest / s = 2.5 exactly (s = 1/4): torch.round goes to the even 2.
  const GroupGrid tie = LayGrid({-0.625F, 3.125F}, kAwq, Asymmetric("int4"));
  EXPECT_EQ(tie.scale, 0.25F);
  EXPECT_EQ(tie.zero_point, 2.0F);
}

TEST(MinMaxGridTest, ARangeOfOneSignClampsTheZeroPointUnlessZeroIsIncluded) {
  EXPECT_EQ(LayGrid({1.0F, 2.0F}, kAwq, Asymmetric("int4")).zero_point, 0.0F);
  EXPECT_EQ(LayGrid({-2.0F, -1.0F}, kAwq, Asymmetric("int4")).zero_point, 15.0F);
  EXPECT_EQ(LayGrid({1.0F, 2.0F}, kAwq, Asymmetric("int4")).scale, 1.0F / 15.0F);
  EXPECT_EQ(LayGrid({1.0F, 2.0F}, kGptq, Asymmetric("int4")).scale, 2.0F / 15.0F);
  EXPECT_EQ(LayGrid({-2.0F, -1.0F}, kGptq, Asymmetric("int4")).zero_point, 15.0F);
}

TEST(MinMaxGridTest, TheDaqReleaseKeepsTheZeroPointReal) {
  const GroupGrid grid = LayGrid({-1.1F, 2.0F}, kDaq, Asymmetric("int4"));
  const float scale = (2.0F - -1.1F) / 15.0F;
  EXPECT_EQ(grid.scale, scale);
  EXPECT_EQ(grid.zero_point, 1.1F / scale);
}

TEST(MinMaxGridTest, SymmetricScalesReachTheLargestMagnitude) {
  EXPECT_EQ(LayGrid({-1.4F, 0.7F}, kAwq, Symmetric("int4")).scale, 1.4F / 7.0F);
  EXPECT_EQ(LayGrid({-1.4F, 0.7F}, kAwq, Symmetric("nf4")).scale, 1.4F);
  EXPECT_EQ(LayGrid({-1.4F, 0.7F}, kAwq, Symmetric("fp4_e2m1")).scale, 1.4F / 6.0F);
  EXPECT_EQ(LayGrid({-1.4F, 0.7F}, kAwq, Symmetric("fp8_e4m3")).scale, 1.4F / 448.0F);
  EXPECT_EQ(LayGrid({-1.4F, 0.7F}, kAwq, Symmetric("nf4")).zero_point, 0.0F);
}

TEST(MinMaxGridTest, AsymmetricFloatBooksPutBothEndsOnTheirEnds) {
  const GroupGrid grid = LayGrid({-1.0F, 2.0F}, kAwq, Asymmetric("fp4_e2m1"));
  EXPECT_EQ(grid.scale, 3.0F / 12.0F);
  EXPECT_EQ(grid.zero_point, 6.0F - 2.0F / 0.25F);
}

TEST(MinMaxGridTest, IntegerRangesHaveAFloorAndFloatScalesTheSmallestNormal) {
  constexpr float kSmallest = std::numeric_limits<float>::min();
  EXPECT_EQ(LayGrid({0.0F, 0.0F}, kAwq, Asymmetric("int4")).scale, 1e-5F / 15.0F);
  EXPECT_EQ(LayGrid({0.0F, 0.0F}, kAwq, Asymmetric("int4")).zero_point, 0.0F);
  EXPECT_FALSE(std::signbit(LayGrid({0.0F, 0.0F}, kDaq, Asymmetric("int4")).zero_point));
  EXPECT_EQ(LayGrid({-1e-7F, 1e-7F}, kAwq, Symmetric("int4")).scale, 1e-5F / 7.0F);
  EXPECT_EQ(LayGrid({0.0F, 0.0F}, kAwq, Symmetric("nf4")).scale, kSmallest);
  EXPECT_EQ(LayGrid({0.0F, 0.0F}, kAwq, Asymmetric("nf4")).scale, kSmallest);
  EXPECT_EQ(LayGrid({-1e-44F, 1e-44F}, kAwq, Symmetric("nf4")).scale, kSmallest);
}

TEST(MinMaxGridTest, AConstantGroupUsesTheIntervalFromZero) {
  EXPECT_EQ(LayGrid({0.5F, 0.5F}, kAwq, Asymmetric("int4")).scale, 0.5F / 15.0F);
  EXPECT_EQ(LayGrid({0.5F, 0.5F}, kAwq, Asymmetric("int4")).zero_point, 0.0F);
  EXPECT_EQ(LayGrid({-0.5F, -0.5F}, kAwq, Asymmetric("int4")).zero_point, 15.0F);
  EXPECT_EQ(LayGrid({0.5F, 0.5F}, kAwq, Asymmetric("nf4")).scale, 0.25F);
}

TEST(MinMaxGridTest, ARangeLongerThanFloat32StillHasAScale) {
  const GroupGrid grid = LayGrid({-3e38F, 3e38F}, kAwq, Asymmetric("int4"));
  EXPECT_EQ(grid.scale, 3e38F / 15.0F + 3e38F / 15.0F);
  EXPECT_EQ(grid.zero_point, 8.0F);  // 7.5 rounds to the even 8
}

TEST(MinMaxGridTest, SymmetricNeedsBothSigns) {
  const Format format{
      .codebook = CustomCodebook("positive", std::vector<double>{0, 1, 2}, {"test"}, "values"),
      .symmetric = true};
  EXPECT_EQ(
      InputErrorOf("", [&] { CheckGridFormat(format); }),
      "format: symmetric: expected false for positive, whose values are of one sign, found true");
  CheckGridFormat(Symmetric("int2"));
  CheckGridFormat(Asymmetric("int2"));
}

TEST(MinMaxGridTest, ExplainsWhatTheRulesComeToForAFormat) {
  EXPECT_EQ(ExplainGrid(kAwq, Asymmetric("int4")),
            "range as the weights lie; zero-point rounded and clamped to 0 .. 15, 4 bits");
  EXPECT_EQ(ExplainGrid(kGptq, Asymmetric("int2")),
            "range stretched to contain 0; zero-point rounded and clamped to 0 .. 3, 2 bits");
  EXPECT_EQ(ExplainGrid(kDaq, Asymmetric("int4")),
            "range as the weights lie; zero-point real-valued, 32 bits");
  EXPECT_EQ(ExplainGrid(kAwq, Asymmetric("nf4")),
            "range as the weights lie; zero-point real-valued, 32 bits (nf4 is no integer grid, "
            "round_zero_point does "
            "not matter)");
  EXPECT_EQ(ExplainGrid(kAwq, Symmetric("nf4")),
            "symmetric: zero-point 0, neither round_zero_point nor include_zero matters");
}

TEST(MinMaxGridTest, IntervalsAreTheExtremes) {
  const MatrixF weights = NormalMatrix(1, 100, 1.0, 11);
  const WeightInterval interval = IntervalOf({weights.data(), 100});
  EXPECT_EQ(interval.lowest, weights.minCoeff());
  EXPECT_EQ(interval.highest, weights.maxCoeff());
}

}  // namespace
}  // namespace daq
