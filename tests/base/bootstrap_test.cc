#include "base/bootstrap.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/file.h"
#include "base/python_random.h"
#include "base/statistics.h"

namespace daq {
namespace {

using Losses = std::vector<double>;

Interval IntervalOf(const Losses& a, const Losses& b, Index block = 1) {
  const auto draws = BootstrapPerplexities({a, b}, block);
  return DifferenceInterval(draws[0], draws[1]);
}

// Near normal, mean 0, deviation 1, the same in every standard library: Irwin and Hall's sum.
double Normal(PythonRandom* random) {
  double sum = -6;
  for (int i = 0; i < 12; ++i) sum += random->GetRandBits(32) / 4294967296.0;
  return sum;
}

TEST(GoldenBootstrapTest, IntervalsAreThoseOfAPythonScript) {
  const nlohmann::json goldens =
      nlohmann::json::parse(
          ReadFile(std::filesystem::path(DAQ_SOURCE_DIR) / "tests/golden/bootstrap/intervals.json"))
          .at("intervals");
  ASSERT_EQ(goldens.size(), 5U);
  for (const nlohmann::json& golden : goldens) {
    const Interval interval = IntervalOf(golden.at("a").get<Losses>(), golden.at("b").get<Losses>(),
                                         golden.at("block_windows").get<Index>());
    // Perplexities near 45 in double, sums of up to 96 terms: 45 * 96 epsilon is 1e-12.
    EXPECT_NEAR(interval.low, golden.at("low").get<double>(), 1e-12);
    EXPECT_NEAR(interval.high, golden.at("high").get<double>(), 1e-12);
  }
}

// Of nine windows, one of which doubles the perplexity each time that it is drawn: how often it is
// drawn is binomial, (8/9)^9 = 0.346 never, 0.390 once, 0.195 twice, 0.057 three times.
TEST(BootstrapTest, NineWindowsByHand) {
  Losses losses(9, 0);
  losses[4] = 9 * std::log(2.0);
  const auto draws = BootstrapPerplexities({losses});
  const auto share = [&](double perplexity) {
    return static_cast<double>(
               std::count_if(draws[0].begin(), draws[0].end(),
                             [&](double value) { return std::abs(value - perplexity) < 1e-12; })) /
           kBootstrapDraws;
  };
  EXPECT_NEAR(share(1), 0.346, 0.02);  // 4 standard errors are 0.02
  EXPECT_NEAR(share(2), 0.390, 0.02);
  EXPECT_NEAR(share(4), 0.195, 0.02);
  const Interval interval = PercentileInterval(draws[0]);
  EXPECT_NEAR(interval.low, 1, 1e-12);
  EXPECT_NEAR(interval.high, 8, 1e-12);
}

// The closed form for many windows: the difference plus or minus 1.96 of its standard errors.
TEST(BootstrapTest, AgreesWithTheDeltaMethodOnManyWindows) {
  PythonRandom random(1);
  Losses a(400);
  Losses b(400);
  for (std::size_t w = 0; w < a.size(); ++w) {
    b[w] = 2 + 0.3 * Normal(&random);
    a[w] = b[w] + 0.05 + 0.05 * Normal(&random);
  }
  const Interval interval = IntervalOf(a, b);
  const PairedDifference difference = PerplexityDifference(a, b);
  // 5 % of the half width: the ends' own chance and the skewness of an exponential.
  const double tolerance = 0.05 * 1.96 * difference.standard_error;
  EXPECT_NEAR(interval.low, difference.value - 1.96 * difference.standard_error, tolerance);
  EXPECT_NEAR(interval.high, difference.value + 1.96 * difference.standard_error, tolerance);
}

// How often the interval holds the difference it was made to find.
double Coverage(Index block, double memory) {
  constexpr int kTexts = 200;
  constexpr std::size_t kWindows = 120;
  PythonRandom random(2);
  // Mean losses 2.02 and 2 over endless text; the difference has memory from window to window.
  const double truth = std::exp(2.02) - std::exp(2.0);
  int covered = 0;
  for (int text = 0; text < kTexts; ++text) {
    Losses a(kWindows);
    Losses b(kWindows, 2.0);
    double drift = Normal(&random);
    for (double& loss : a) {
      drift = memory * drift + std::sqrt(1 - memory * memory) * Normal(&random);
      loss = 2.02 + 0.05 * drift;
    }
    const Interval interval = IntervalOf(a, b, block);
    if (interval.low <= truth && truth <= interval.high) ++covered;
  }
  return static_cast<double>(covered) / kTexts;
}

// Of 200 texts 190 +- 3 (one standard error of the count).
TEST(SlowBootstrapTest, CoversNineteenOfTwentyTimes) { EXPECT_NEAR(Coverage(1, 0), 0.95, 0.045); }

// What blocks are for: with much memory single windows claim too much, blocks of 10 far less.
TEST(SlowBootstrapTest, BlocksMendNeighboursThatAreAlike) {
  const double single = Coverage(1, 0.8);
  EXPECT_LT(single, 0.75);
  EXPECT_GT(Coverage(10, 0.8), single + 0.1);
}

TEST(BootstrapTest, ExchangingTheSidesNegatesTheIntervalToTheBit) {
  PythonRandom random(3);
  Losses a(37);
  Losses b(37);
  for (double& loss : a) loss = 3 + Normal(&random);
  for (double& loss : b) loss = 3 + Normal(&random);
  for (const Index block : {1, 4}) {
    const Interval forward = IntervalOf(a, b, block);
    const Interval backward = IntervalOf(b, a, block);
    EXPECT_EQ(forward.low, -backward.high);
    EXPECT_EQ(forward.high, -backward.low);
  }
}

TEST(BootstrapTest, OtherSeriesAndEarlierCallsChangeNothing) {
  const Losses a = {1, 2, 3, 4, 5, 6, 7, 8, 9};
  const Losses b = {2, 1, 4, 3, 7, 5, 9, 6, 8};
  const auto alone = BootstrapPerplexities({a});
  BootstrapPerplexities({Losses(10, 3)}, 1);
  const auto together = BootstrapPerplexities({b, a});
  EXPECT_EQ(together[1], alone[0]);
  EXPECT_EQ(BootstrapPerplexities({b})[0], together[0]);
}

TEST(BootstrapTest, EqualSeriesDifferByNothing) {
  const Losses a = {1, 2, 3, 4, 5, 6, 7, 8, 9};
  const Interval interval = IntervalOf(a, a);
  EXPECT_EQ(interval.low, 0);
  EXPECT_EQ(interval.high, 0);
  EXPECT_FALSE(interval.ExcludesZero());
}

TEST(BootstrapTest, FewerThanEightBlocksHaveNoInterval) {
  EXPECT_TRUE(std::isnan(IntervalOf({1, 2}, {2, 2}).low));
  EXPECT_TRUE(std::isnan(IntervalOf(Losses(7, 1), Losses(7, 2)).low));
  EXPECT_EQ(IntervalOf(Losses(8, 0), Losses(8, 0)).low, 0);
  EXPECT_TRUE(std::isnan(IntervalOf(Losses(15, 1), Losses(15, 2), 2).high));
  EXPECT_EQ(IntervalOf(Losses(16, 0), Losses(16, 0), 2).high, 0);
  EXPECT_FALSE(Interval{}.ExcludesZero());
  EXPECT_TRUE(BootstrapPerplexities({}).empty());
}

TEST(BootstrapTest, PerplexitiesBeyondEveryDoubleHaveNoInterval) {
  const std::vector<double> infinite(kBootstrapDraws, INFINITY);
  EXPECT_TRUE(std::isnan(DifferenceInterval(infinite, infinite).low));
}

TEST(BootstrapTest, TheUsualBlockIsTheCubeRoot) {
  for (const auto& [windows, block] : {std::pair<Index, Index>{1, 1},
                                       {7, 1},
                                       {8, 2},
                                       {26, 2},
                                       {27, 3},
                                       {63, 3},
                                       {64, 4},
                                       {166, 5},
                                       {1000, 10}})
    EXPECT_EQ(UsualBlockWindows(windows), block) << windows;
}

// More windows never lose their interval to a longer block.
TEST(BootstrapTest, SixteenWindowsOrMoreHaveAnInterval) {
  for (Index windows = 1; windows <= 5000; ++windows)
    EXPECT_EQ(HasInterval(windows, UsualBlockWindows(windows)), windows >= 16) << windows;
}

TEST(BootstrapTest, ZeroIsExcludedOnEitherSide) {
  EXPECT_TRUE((Interval{.low = 1, .high = 2}.ExcludesZero()));
  EXPECT_TRUE((Interval{.low = -2, .high = -1}.ExcludesZero()));
  EXPECT_FALSE((Interval{.low = -1, .high = 1}.ExcludesZero()));
  EXPECT_FALSE((Interval{.low = 0, .high = 1}.ExcludesZero()));
}

TEST(BootstrapDeathTest, RefusesSeriesOfDifferentWindows) {
  EXPECT_DEATH(BootstrapPerplexities({{1, 2}, {1, 2, 3}}), "series of the same windows");
  EXPECT_DEATH(BootstrapPerplexities({{1, 2}}, 0), "a block has a window");
}

// Each draw against the same windows drawn one by one: the perplexity of their tokens.
TEST(BootstrapTest, WeightsCountTokensOfTheDrawnWindows) {
  Losses losses;
  Losses weights;
  for (int window = 0; window < 19; ++window) {
    losses.push_back(1 + window * 7 % 19 / 8.0);
    weights.push_back(1 + window * 5 % 11);
  }
  const auto draws = BootstrapPerplexities({losses}, 2, weights);
  PythonRandom random(kBootstrapSeed);
  for (const double draw : draws[0]) {
    double sum = 0;
    double tokens = 0;
    for (int window = 0; window < 19; window += 2) {
      const auto start = static_cast<std::size_t>(random.RandInt(0, 18));
      for (std::size_t i = 0; i < (window < 18 ? 2U : 1U); ++i) {
        const std::size_t drawn = (start + i) % 19;
        sum += weights[drawn] * losses[drawn];
        tokens += weights[drawn];
      }
    }
    ASSERT_NEAR(draw, std::exp(sum / tokens), 1e-12);
  }
}

}  // namespace
}  // namespace daq
