#include "methods/layer_statistics.h"

#include <gtest/gtest.h>

#include "base/blas.h"
#include "tests/methods/matrices.h"

namespace daq {
namespace {

class LayerStatisticsTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { SetUpBlas(); }
  LayerStatisticsTest() : pool_(2) {}

  // The statistics of `inputs` cut into windows.
  LayerStatistics InWindows(const MatrixF& inputs, Index window, std::vector<Index> read_at) {
    LayerStatistics statistics(inputs.cols(), std::move(read_at));
    for (Index row = 0; row < inputs.rows(); row += window)
      statistics.Add(inputs.middleRows(row, window), &pool_);
    return statistics;
  }

  ThreadPool pool_;
};

TEST_F(LayerStatisticsTest, GramEqualsAPlainProduct) {
  for (const Index tokens : {1, 7, 40, 96, 97, 1100}) {
    const MatrixF inputs = NormalMatrix(tokens, 96, 1.0, 50);
    const LayerStatistics statistics(inputs, &pool_);
    EXPECT_EQ(statistics.has_inputs(), tokens <= 96);
    const MatrixD plain = inputs.cast<double>().transpose() * inputs.cast<double>();
    // Sums of `tokens` exact products in double: tokens * 2^-53 of the largest.
    const double slack = static_cast<double>(tokens) * 0x1p-52 * plain.cwiseAbs().maxCoeff();
    EXPECT_LE((statistics.gram(&pool_) - plain).cwiseAbs().maxCoeff(), slack) << tokens;
    EXPECT_EQ(statistics.gram(&pool_), MatrixD(statistics.gram(&pool_).transpose()));
  }
}

TEST_F(LayerStatisticsTest, SumsEqualPlainLoops) {
  const MatrixF inputs = NormalMatrix(300, 40, 1.0, 51);
  const LayerStatistics statistics(inputs, &pool_);
  const MatrixD wide = inputs.cast<double>();
  EXPECT_LE((statistics.mean_absolute() - VectorD(wide.cwiseAbs().colwise().mean()))
                .cwiseAbs()
                .maxCoeff(),
            1e-13);
  EXPECT_LE(
      (statistics.mean_square() - VectorD(wide.cwiseAbs2().colwise().mean())).cwiseAbs().maxCoeff(),
      1e-13);
}

// An ablation's smaller sizes are prefixes: what is read after 128 tokens has the same bits whether
// or not the statistics go on, were read before, or were added by other threads.
TEST_F(LayerStatisticsTest, PrefixesHaveTheBitsOfTheirOwnRun) {
  const MatrixF inputs = NormalMatrix(128 + 64 + 1024, 160, 1.0, 52);
  LayerStatistics growing(160, {128, 192, 1216});
  for (Index row = 0; row < inputs.rows(); row += 64) {
    growing.Add(inputs.middleRows(row, 64), &pool_);
    const Index tokens = row + 64;
    if (tokens != 128 && tokens != 192 && tokens != 1216) continue;
    ThreadPool three(3);
    LayerStatistics own(160, {tokens});
    for (Index r = 0; r < tokens; r += 64) own.Add(inputs.middleRows(r, 64), &three);
    EXPECT_EQ(growing.tokens(), tokens);
    EXPECT_EQ(growing.has_inputs(), own.has_inputs());
    EXPECT_EQ(growing.gram(&pool_), own.gram(&three));
    EXPECT_EQ(growing.sample(), own.sample());
    EXPECT_EQ(growing.mean_absolute(), own.mean_absolute());
  }
}

TEST_F(LayerStatisticsTest, TheSampleIsEveryNthRow) {
  const MatrixF inputs = NormalMatrix(1664, 8, 1.0, 53);  // 1664 / 512 = 3
  const MatrixF sample = InWindows(inputs, 64, {1664}).sample();
  ASSERT_EQ(sample.rows(), 555);  // ceil(1664 / 3)
  for (Index row = 0; row < 555; ++row) EXPECT_EQ(sample.row(row), inputs.row(3 * row));
  EXPECT_EQ(StatisticsOf(inputs.topRows(100)).sample(), inputs.topRows(100));
}

TEST_F(LayerStatisticsTest, DividedEqualsTheStatisticsOfDividedInputs) {
  VectorF divisor = NormalMatrix(48, 1, 1.0, 54).cwiseAbs().array() + 0.25F;
  for (const Index tokens : {32, 200}) {
    const MatrixF inputs = NormalMatrix(tokens, 48, 1.0, 55);
    const MatrixF scaled = inputs.array().rowwise() / divisor.transpose().array();
    const LayerStatistics divided = StatisticsOf(inputs).Divided(divisor);
    const LayerStatistics direct = StatisticsOf(scaled);
    EXPECT_EQ(divided.tokens(), tokens);
    EXPECT_EQ(divided.sample(), direct.sample());
    // The direct inputs are rounded to float32 once each: 2^-24 an element, twice in a product.
    const double slack = 0x1p-22 * direct.gram(&pool_).cwiseAbs().maxCoeff();
    EXPECT_LE((divided.gram(&pool_) - direct.gram(&pool_)).cwiseAbs().maxCoeff(), slack);
    EXPECT_LE((divided.mean_absolute() - direct.mean_absolute()).cwiseAbs().maxCoeff(), 1e-6);
    EXPECT_LE((divided.mean_square() - direct.mean_square()).cwiseAbs().maxCoeff(), 1e-5);
  }
}

TEST_F(LayerStatisticsTest, SquaredOutputsEqualPlainLoops) {
  const MatrixF weight = NormalMatrix(70, 48, 0.02, 56);
  for (const Index tokens : {32, 500}) {
    const MatrixF inputs = NormalMatrix(tokens, 48, 1.0, 57);
    const double plain = (inputs.cast<double>() * weight.cast<double>().transpose()).squaredNorm();
    // From rows: float32 products of 48 terms.
    EXPECT_NEAR(SquaredOutputs(weight, StatisticsOf(inputs), &pool_) / plain, 1.0, 1e-6);
  }
}

TEST_F(LayerStatisticsTest, DerivedValuesAreMadeOnceUntilTokensAreAdded) {
  const MatrixF inputs = NormalMatrix(8, 4, 1.0, 58);
  LayerStatistics statistics(4, {4, 8});
  statistics.Add(inputs.topRows(4), &pool_);
  int made = 0;
  const std::function<int()> make = [&] { return ++made; };
  EXPECT_EQ(statistics.Derived<int>("test", make), 1);
  EXPECT_EQ(statistics.Derived<int>("test", make), 1);
  EXPECT_EQ(statistics.Derived<int>("other", make), 2);
  statistics.Add(inputs.bottomRows(4), &pool_);
  EXPECT_EQ(statistics.Derived<int>("test", make), 3);
}

}  // namespace
}  // namespace daq
