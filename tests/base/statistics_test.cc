#include "base/statistics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace daq {
namespace {

TEST(StatisticsTest, MeanAndStandardErrorByHand) {
  const std::vector<double> values = {1, 2, 4, 5};
  EXPECT_DOUBLE_EQ(Mean(values), 3);
  EXPECT_DOUBLE_EQ(StandardError(values), std::sqrt(10.0 / 3 / 4));  // squares 4 + 1 + 1 + 4
  EXPECT_TRUE(std::isnan(StandardError(std::vector<double>{1})));
}

TEST(StatisticsTest, PerplexityIsTheExponentialOfTheMeanLoss) {
  const std::vector<double> losses = {std::log(2.0), std::log(8.0)};
  EXPECT_DOUBLE_EQ(Perplexity(losses), 4);
  EXPECT_DOUBLE_EQ(PerplexityStandardError(losses),
                   4 * std::log(4.0) / 2);  // half the distance is each one's deviation
}

// Two models whose windows differ by the same amount everywhere: the paired error sees only how
// that amount weighs, far less than either perplexity's own error.
TEST(StatisticsTest, PairedErrorIsZeroForEqualLossesAndSmallForParallelOnes) {
  const std::vector<double> a = {1.0, 2.0, 3.0, 4.0};
  EXPECT_EQ(PerplexityDifference(a, a).value, 0);
  EXPECT_EQ(PerplexityDifference(a, a).standard_error, 0);
  std::vector<double> b = a;
  for (double& loss : b) loss += 0.01;
  const PairedDifference difference = PerplexityDifference(b, a);
  EXPECT_NEAR(difference.value, std::exp(2.5) * (std::exp(0.01) - 1), 1e-12);
  EXPECT_NEAR(difference.standard_error, std::exp(2.5) * (std::exp(0.01) - 1) * StandardError(a),
              1e-12);
  EXPECT_LT(difference.standard_error, 0.02 * PerplexityStandardError(a));
}

// By hand: 3 tokens of loss 1 and 1 token of loss 3 are 4 of mean 1.5; the ratio's linearised terms
// are weight / 2 * (loss - 1.5), so -0.75 and 0.75.
TEST(StatisticsTest, WeightsCountTokens) {
  const std::vector<double> losses = {1, 3};
  const std::vector<double> weights = {3, 1};
  EXPECT_DOUBLE_EQ(MeanLoss(losses, weights), 1.5);
  EXPECT_DOUBLE_EQ(Perplexity(losses, weights), std::exp(1.5));
  EXPECT_DOUBLE_EQ(PerplexityStandardError(losses, weights), std::exp(1.5) * 0.75);
  const std::vector<double> fp = {1, 2};
  const PairedDifference difference = PerplexityDifference(losses, fp, weights);
  EXPECT_DOUBLE_EQ(difference.value, std::exp(1.5) - std::exp(1.25));
  EXPECT_DOUBLE_EQ(difference.standard_error, 0.75 * std::exp(1.5) - 0.375 * std::exp(1.25));
}

TEST(StatisticsTest, EqualWeightsChangeNothing) {
  const std::vector<double> a = {1.0, 2.5, 3.0, 4.2};
  const std::vector<double> b = {1.1, 2.4, 3.3, 4.0};
  const std::vector<double> weights(4, 255);
  // A few roundings of numbers near 20.
  EXPECT_NEAR(Perplexity(a, weights), Perplexity(a), 1e-13);
  EXPECT_NEAR(PerplexityStandardError(a, weights), PerplexityStandardError(a), 1e-13);
  EXPECT_NEAR(PerplexityDifference(a, b, weights).standard_error,
              PerplexityDifference(a, b).standard_error, 1e-13);
}

}  // namespace
}  // namespace daq
