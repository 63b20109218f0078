#include "methods/density_center.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "methods/daq_settings.h"
#include "tests/methods/matrices.h"

namespace daq {
namespace {

std::vector<float> Weights(Index count, std::uint64_t seed) {
  const MatrixF matrix = HeavyTailedMatrix(1, count, 0.3, seed);
  return {matrix.data(), matrix.data() + matrix.size()};
}

// numpy.quantile's definition on sorted values.
double PlainQuantile(std::vector<float> values, double fraction) {
  std::sort(values.begin(), values.end());
  const double position = fraction * static_cast<double>(values.size() - 1);
  const auto below = static_cast<std::size_t>(std::floor(position));
  const auto above = static_cast<std::size_t>(std::ceil(position));
  const auto low = static_cast<double>(values[below]);
  return low + (static_cast<double>(values[above]) - low) * (position - std::floor(position));
}

TEST(DensityCenterTest, QuantilesAndMoments) {
  for (const Index count : {1, 2, 3, 40, 41, 257}) {
    const std::vector<float> weights = Weights(count, 71);
    for (const double lower : {0.0, 0.025, 0.25, 0.5}) {
      EXPECT_EQ(DenseCenter(weights, {.rule = CenterRule::kQuantile, .lower_quantile = lower}),
                (PlainQuantile(weights, lower) + PlainQuantile(weights, 1 - lower)) / 2);
    }
    EXPECT_EQ(DenseCenter(weights, {.rule = CenterRule::kMedian}), PlainQuantile(weights, 0.5));
    double sum = 0;
    for (const float weight : weights) sum += static_cast<double>(weight);
    EXPECT_NEAR(DenseCenter(weights, {.rule = CenterRule::kMean}), sum / static_cast<double>(count),
                1e-15);  // another order of additions of numbers below 0.3
    EXPECT_EQ(DenseCenter(weights, {.rule = CenterRule::kNone}), 0);
  }
}

// Ten bins of width 1 over [0, 10], with these counts:  2 0 1 5 3 3 1 0 0 1
TEST(DensityCenterTest, HistogramWindowGrowsToTheFullerSide) {
  const std::vector<float> weights = {0.0F, 0.5F, 2.5F, 3.1F, 3.2F, 3.3F, 3.4F, 3.5F,
                                      4.1F, 4.2F, 4.3F, 5.1F, 5.2F, 5.3F, 6.5F, 10.0F};
  const auto center = [&](double fraction) {
    return DenseCenter(
        weights,
        {.rule = CenterRule::kHistogram, .histogram_bins = 10, .histogram_fraction = fraction});
  };
  EXPECT_NEAR(center(0.0), 3.5, 1e-14);        // the fullest bin alone
  EXPECT_NEAR(center(5.0 / 16), 3.5, 1e-14);   // it already holds as many
  EXPECT_NEAR(center(8.0 / 16), 4.0, 1e-14);   // [3, 5]
  EXPECT_NEAR(center(11.0 / 16), 4.5, 1e-14);  // [3, 6]
  EXPECT_NEAR(center(12.0 / 16), 5.0, 1e-14);  // 1 and 1: to the right, [3, 7]
  EXPECT_NEAR(center(13.0 / 16), 4.5, 1e-14);  // [2, 7]
  EXPECT_NEAR(center(1.0), 5.0, 1e-14);        // all
}

TEST(DensityCenterTest, KernelDensityAgreesWithItsDefinition) {
  const std::vector<float> weights = Weights(150, 72);
  for (const bool scott : {false, true}) {
    double mean = 0;
    for (const float weight : weights) mean += static_cast<double>(weight) / 150;
    double variance = 0;
    for (const float weight : weights)
      variance += std::pow(static_cast<double>(weight) - mean, 2) / 149;
    const double bandwidth = scott ? std::pow(150, -0.2) * std::sqrt(variance) : 0.02;
    const double lowest = PlainQuantile(weights, 0);
    const double step = (PlainQuantile(weights, 1) - lowest) / 200;
    double best = -1;
    double peak = 0;
    double moment = 0;
    double total = 0;
    for (int i = 0; i <= 200; ++i) {
      const double x = lowest + step * i;
      double density = 0;
      for (const float weight : weights)
        density += std::exp(-std::pow((static_cast<double>(weight) - x) / bandwidth, 2) / 2);
      if (density > best) {
        best = density;
        peak = x;
      }
      moment += x * density;
      total += density;
    }
    CenterOptions options{
        .rule = CenterRule::kKde, .kde_scott = scott, .kde_bandwidth = 0.02, .kde_points = 201};
    EXPECT_NEAR(DenseCenter(weights, options), peak, 1e-12) << scott;
    options.kde_mean = true;
    EXPECT_NEAR(DenseCenter(weights, options), moment / total, 1e-7)
        << scott;  // float exponentials
  }
}

TEST(DensityCenterTest, EqualWeightsAreTheirOwnCentre) {
  const std::vector<float> weights(7, -0.25F);
  for (const CenterRule rule : {CenterRule::kMean, CenterRule::kMedian, CenterRule::kQuantile,
                                CenterRule::kHistogram, CenterRule::kKde})
    EXPECT_EQ(DenseCenter(weights, {.rule = rule}), -0.25);
}

DaqOptions MedianStart(ZeroInit zero_init) {
  DaqOptions options;
  options.center.rule = CenterRule::kMedian;
  options.shrink = 0.5;
  options.zero_init = zero_init;
  return options;
}

// Median 1, furthest weight 9 away: k = 4.5.
TEST(StartOfDaqTest, CentreLandsOnTheDensePartOfTheBook) {
  const std::vector<float> weights = {-2.0F, 0.5F, 1.0F, 3.0F, 10.0F};
  const Format nf4{.codebook = BuiltIn("nf4", false)};
  EXPECT_EQ(StartOfDaq(weights, nf4, MedianStart(ZeroInit::kDensity)), (GridPoint{4.5, -1 / 4.5}));
  EXPECT_EQ(StartOfDaq(weights, nf4, MedianStart(ZeroInit::kZero)), (GridPoint{4.5, 0}));
  EXPECT_EQ(StartOfDaq(weights, nf4, MedianStart(ZeroInit::kMinMax)),
            (GridPoint{4.5, 1 - 10 / 4.5}));
  const Format fp4{.codebook = BuiltIn("fp4_e2m1", false)};
  EXPECT_EQ(StartOfDaq(weights, fp4, MedianStart(ZeroInit::kDensity)),
            (GridPoint{0.75, -1 / 0.75}));
  // 0 .. 15: the middle is 7.5 and so is the reach.
  const Format int4{.codebook = BuiltIn("int4", false)};
  EXPECT_EQ(StartOfDaq(weights, int4, MedianStart(ZeroInit::kDensity)),
            (GridPoint{0.6, 7.5 - 1 / 0.6}));
  // Symmetric: half of the largest |w|, to 7 or to 1.
  const Format int4_symmetric{.codebook = BuiltIn("int4", true), .symmetric = true};
  EXPECT_EQ(StartOfDaq(weights, int4_symmetric, MedianStart(ZeroInit::kDensity)),
            (GridPoint{5.0 / 7, 0}));
  const Format nf4_symmetric{.codebook = BuiltIn("nf4", true), .symmetric = true};
  EXPECT_EQ(StartOfDaq(weights, nf4_symmetric, MedianStart(ZeroInit::kMinMax)), (GridPoint{5, 0}));
}

TEST(StartOfDaqTest, WithoutStageOneTheMinMaxRangeIsTheStart) {
  const std::vector<float> weights = {-2.0F, 0.5F, 1.0F, 3.0F, 10.0F};
  DaqOptions options;
  options.starts_dense = false;
  const Format nf4{.codebook = BuiltIn("nf4", false)};
  // 12 / 2, and 1 - 10 / 6 in float.
  EXPECT_EQ(StartOfDaq(weights, nf4, options),
            (GridPoint{6, static_cast<double>(1.0F - 10.0F / 6.0F)}));
}

}  // namespace
}  // namespace daq
