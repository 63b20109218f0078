#include <gtest/gtest.h>

#include <cmath>

#include "methods/range.h"
#include "methods/recipe.h"
#include "methods/registry.h"
#include "methods/rounding.h"
#include "tests/methods/matrices.h"

namespace daq {
namespace {

PartChoice MseWith(const Settings& overrides) {
  return ChoosePart(*FindPart(Ranges(), "mse"), overrides);
}

RangeResult FindBy(std::string_view range, const Settings& overrides, const MatrixF& weight,
                   const Format& format) {
  ThreadPool pool(1);
  const PartEntry<Range>& entry = *FindPart(Ranges(), range);
  return entry.make(ChoosePart(entry, overrides).settings)
      ->Find(weight, format, {.name = "test", .pool = &pool});
}

// sum |w' - w|^norm of one group, in double and by std::pow.
double PlainLoss(const MatrixF& weight, Index row, Index begin, Index length, const Codebook& book,
                 double scale, double zero_point, double norm) {
  double sum = 0;
  for (Index column = begin; column < begin + length; ++column) {
    const auto w = static_cast<double>(weight(row, column));
    double least = std::numeric_limits<double>::infinity();
    for (const float value : book.values) {
      least = std::min(least, std::abs((static_cast<double>(value) - zero_point) * scale - w));
    }
    sum += std::pow(least, norm);
  }
  return sum;
}

TEST(MseRangeTest, NeverWorseThanMinMaxInItsOwnMeasureAndMostlyBetter) {
  const MatrixF weight = HeavyTailedMatrix(6, 128, 0.3, 12);
  for (const Index group_size : {0, 32}) {
    for (const Format& format : AllFormats(group_size)) {
      SCOPED_TRACE(FormatName(format));
      for (const double norm : {2.0, 2.4}) {
        const Grid minmax = FindBy("minmax", {}, weight, format).grid;
        const Grid mse = FindBy("mse", {{"norm", norm}}, weight, format).grid;
        const Index length = GroupLength(format, weight.cols());
        double total_minmax = 0;
        double total_mse = 0;
        for (Index row = 0; row < weight.rows(); ++row) {
          for (Index group = 0; group < mse.scale.cols(); ++group) {
            const auto loss = [&](const Grid& grid) {
              return PlainLoss(weight, row, group * length, length, format.codebook,
                               static_cast<double>(grid.scale(row, group)),
                               static_cast<double>(grid.zero_point(row, group)), norm);
            };
            // 2e-5: the search compares powers that are right to 1e-5 each.
            EXPECT_LE(loss(mse), loss(minmax) * (1 + 2e-5)) << row << " " << group;
            total_minmax += loss(minmax);
            total_mse += loss(mse);
          }
        }
        if (format.codebook.bits > 4) continue;  // little is left to gain
        EXPECT_LT(total_mse, 0.98 * total_minmax);
      }
    }
  }
}

TEST(MseRangeTest, FindsTheBestFactorOfAPlainSearch) {
  const MatrixF weight = HeavyTailedMatrix(8, 64, 1.0, 13);
  const Format format{.codebook = BuiltIn("int3", true), .symmetric = true};
  const Grid found = FindBy("mse", {}, weight, format).grid;
  for (Index row = 0; row < weight.rows(); ++row) {
    const float largest = weight.row(row).cwiseAbs().maxCoeff();
    double best = std::numeric_limits<double>::infinity();
    for (int i = 0; i < 80; ++i) {
      const double scale =
          static_cast<double>(static_cast<float>(1.0 - i / 100.0) * largest / 3.0F);
      best = std::min(best, PlainLoss(weight, row, 0, 64, format.codebook, scale, 0, 2.4));
    }
    const double loss = PlainLoss(weight, row, 0, 64, format.codebook,
                                  static_cast<double>(found.scale(row, 0)), 0, 2.4);
    EXPECT_LE(loss, best * (1 + 2e-5)) << row;
    EXPECT_GE(loss, best * (1 - 1e-9)) << row;  // it is one of the 80
  }
}

TEST(MseRangeTest, WithoutShrinkingItIsMinMax) {
  const MatrixF weight = NormalMatrix(4, 64, 0.02, 14);
  const Format format{.codebook = BuiltIn("int3", false), .group_size = 32};
  const Grid mse = FindBy("mse", {{"max_shrink", 0.0}}, weight, format).grid;
  const Grid minmax = FindBy("minmax", {}, weight, format).grid;
  EXPECT_EQ(mse.scale, minmax.scale);
  EXPECT_EQ(mse.zero_point, minmax.zero_point);
}

TEST(MseRangeTest, AnOutlierIsClippedWhereThatPays) {
  MatrixF weight = NormalMatrix(1, 512, 0.02, 15);
  weight(0, 100) = 0.12F;  // twice the other weights' range, far too rare to be worth 3 bits
  const Format format{.codebook = BuiltIn("int3", true), .symmetric = true};
  const Settings square = {{"norm", 2.0}};
  EXPECT_LT(FindBy("mse", square, weight, format).grid.scale(0, 0), 0.9F * 0.12F / 3.0F);
  // A high norm weighs the outlier's own error most.
  const Settings high = {{"norm", 10.0}};
  EXPECT_GT(FindBy("mse", high, weight, format).grid.scale(0, 0),
            FindBy("mse", square, weight, format).grid.scale(0, 0));
}

TEST(MseRangeTest, ExplainsItsSearch) {
  const Format format{.codebook = BuiltIn("int4", false)};
  EXPECT_EQ(FindPart(Ranges(), "mse")->make(MseWith({}).settings)->Explain(format),
            "80 factors from 1 down to 0.21; range as the weights lie; zero-point rounded and "
            "clamped to 0 .. 15, 4 bits");
}

}  // namespace
}  // namespace daq
