#include "methods/layer_report.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/blas.h"
#include "methods/quantize_layer.h"
#include "tests/methods/matrices.h"

namespace daq {
namespace {

// numpy's default quantile on a sorted copy.
double PlainQuantile(const MatrixF& weight, Index row, double fraction) {
  std::vector<float> sorted(weight.row(row).data(), weight.row(row).data() + weight.cols());
  std::sort(sorted.begin(), sorted.end());
  const double position = fraction * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(position);
  const auto low = static_cast<double>(sorted[below]);
  if (below + 1 == sorted.size()) return low;
  return low + (static_cast<double>(sorted[below + 1]) - low) * (position - std::floor(position));
}

QuantizedLayer Quantize(const MatrixF& weight, const Format& format,
                        const LayerStatistics* statistics, int threads) {
  ThreadPool pool(threads);
  return QuantizeLayer(MakeParts(MakeRecipe(*FindPreset("rtn"), format)), format, weight,
                       {.name = "layer", .statistics = statistics, .pool = &pool});
}

class LayerReportTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { SetUpBlas(); }
};

TEST_F(LayerReportTest, EqualsPlainDoubleLoops) {
  const MatrixF weight = HeavyTailedMatrix(70, 96, 0.2, 17);
  const MatrixF inputs =
      NormalMatrix(300, 96, 1.0, 18);  // more tokens than features: a Gram matrix
  const LayerStatistics statistics = StatisticsOf(inputs);
  const Format format{.codebook = BuiltIn("int3", false), .group_size = 32};
  const QuantizedLayer result = Quantize(weight, format, &statistics, 2);
  const LayerReport& report = result.report;
  MatrixF restored(70, 96);
  Dequantize(result.matrix, restored);
  const MatrixD error = restored.cast<double>() - weight.cast<double>();
  const double squared_error = error.squaredNorm();
  const double squared_weight = weight.cast<double>().squaredNorm();
  EXPECT_EQ(report.layer, "layer");
  // Sums of about 7000 doubles: 1e-12 is far above their rounding.
  EXPECT_NEAR(report.weight_mse, squared_error / (70 * 96), 1e-12 * squared_error);
  EXPECT_NEAR(report.weight_relative_error, squared_error / squared_weight, 1e-12);
  const MatrixD output = inputs.cast<double>() * weight.cast<double>().transpose();
  const MatrixD output_error = inputs.cast<double>() * error.transpose();
  // Products and sums in double, of weights restored to float32: 2^-24 relative at the very most.
  EXPECT_NEAR(report.output_mse.value() / (output_error.squaredNorm() / (300 * 70)), 1.0, 1e-5);
  EXPECT_NEAR(
      report.output_relative_error.value() / (output_error.squaredNorm() / output.squaredNorm()),
      1.0, 1e-5);
  EXPECT_EQ(report.bits_per_weight, static_cast<double>(StoredBits(result.matrix)) / (70 * 96));
  EXPECT_EQ(report.lowest_weight, static_cast<double>(weight.minCoeff()));
  EXPECT_EQ(report.highest_weight, static_cast<double>(weight.maxCoeff()));
  double center = 0;
  double width = 0;
  for (Index row = 0; row < 70; ++row) {
    center += (PlainQuantile(weight, row, 0.025) + PlainQuantile(weight, row, 0.975)) / 2 / 70;
    width += (PlainQuantile(weight, row, 0.975) - PlainQuantile(weight, row, 0.025)) / 70;
  }
  EXPECT_NEAR(report.dense_center, center, 1e-12);
  EXPECT_NEAR(report.dense_width, width, 1e-12);
  const MatrixD scale = result.matrix.grid.scale.cast<double>();
  const MatrixD zero_point = result.matrix.grid.zero_point.cast<double>();
  EXPECT_NEAR(report.range_width, 7 * scale.mean(), 1e-12);
  EXPECT_NEAR(report.range_center, ((3.5 - zero_point.array()) * scale.array()).mean(), 1e-12);
}

TEST_F(LayerReportTest, EntropyCountsTheCodesInUse) {
  // Weights on the four values of int2, unequally often: 8, 4, 2 and 2 of 16.
  MatrixF weight(1, 16);
  weight << 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 3, 3;
  const QuantizedLayer result = Quantize(weight, {.codebook = BuiltIn("int2", false)}, nullptr, 1);
  EXPECT_EQ(result.report.weight_mse, 0.0);
  EXPECT_DOUBLE_EQ(result.report.code_entropy_bits, 0.5 * 1 + 0.25 * 2 + 2 * 0.125 * 3);
  EXPECT_EQ(result.report.clipped_share, 0.0);
  EXPECT_FALSE(result.report.output_mse);
}

TEST_F(LayerReportTest, CountsWeightsOutsideTheInterval) {
  // llm-awq's rule clamps the zero-point of a one-sided group: with s = 1/3 only [0, 1] is
  // representable.
  MatrixF weight(1, 4);
  weight << 1.0F, 1.25F, 1.75F, 2.0F;
  const QuantizedLayer result = Quantize(weight, {.codebook = BuiltIn("int2", false)}, nullptr, 1);
  EXPECT_EQ(result.report.clipped_share, 0.75);
  EXPECT_NEAR(result.report.range_width, 1.0, 1e-6);
}

TEST_F(LayerReportTest, MinMaxWithRealZeroPointsClipsNothing) {
  const MatrixF weight = NormalMatrix(40, 128, 0.02, 19);
  for (const Format& format : AllFormats(32)) {
    if (format.codebook.integer && !format.symmetric)
      continue;  // rounded zero-points shift the interval
    if (format.codebook.name == "seven" && format.symmetric)
      continue;  // reaches 2 of 3 on one side only
    EXPECT_EQ(Quantize(weight, format, nullptr, 1).report.clipped_share, 0.0) << FormatName(format);
  }
}

// The same matrix with features renamed: codes and grids stay, positions say whose they are.
TEST_F(LayerReportTest, GroupsFollowAColumnOrder) {
  const MatrixF weight = NormalMatrix(20, 96, 0.02, 23);
  const MatrixF inputs = NormalMatrix(200, 96, 1.0, 24);
  const Format format{.codebook = BuiltIn("int3", false), .group_size = 32};
  QuantizedMatrix matrix = Quantize(weight, format, nullptr, 1).matrix;
  ThreadPool pool(1);
  const LayerStatistics statistics = StatisticsOf(inputs);
  const LayerReport plain =
      ReportLayer(weight, matrix, {.name = "layer", .statistics = &statistics, .pool = &pool});
  MatrixF moved_weight(20, 96);
  MatrixF moved_inputs(200, 96);
  for (std::int32_t p = 0; p < 96; ++p) {
    matrix.column_order.push_back((p * 5 + 7) % 96);
    moved_weight.col((p * 5 + 7) % 96) = weight.col(p);
    moved_inputs.col((p * 5 + 7) % 96) = inputs.col(p);
  }
  const LayerStatistics moved_statistics = StatisticsOf(moved_inputs);
  const LayerReport moved = ReportLayer(
      moved_weight, matrix, {.name = "layer", .statistics = &moved_statistics, .pool = &pool});
  EXPECT_EQ(moved.clipped_share, plain.clipped_share);
  EXPECT_GT(plain.clipped_share, 0.0);  // rounded zero-points clip some weights
  EXPECT_EQ(moved.range_center, plain.range_center);
  EXPECT_EQ(moved.range_width, plain.range_width);
  EXPECT_EQ(moved.code_entropy_bits, plain.code_entropy_bits);
  // Sums in another order, of doubles.
  EXPECT_NEAR(moved.weight_mse / plain.weight_mse, 1.0, 1e-12);
  EXPECT_NEAR(moved.output_mse.value() / plain.output_mse.value(), 1.0, 1e-9);
  EXPECT_DOUBLE_EQ(moved.bits_per_weight, plain.bits_per_weight + 96.0 * 7 / (20 * 96));
}

TEST_F(LayerReportTest, TheSameBitsForAnyThreadCount) {
  const MatrixF weight = NormalMatrix(150, 64, 0.02, 20);
  const LayerStatistics statistics = StatisticsOf(NormalMatrix(600, 64, 1.0, 21));
  const Format format{.codebook = BuiltIn("nf4", true), .symmetric = true};
  EXPECT_EQ(Quantize(weight, format, &statistics, 1).report,
            Quantize(weight, format, &statistics, 3).report);
}

TEST_F(LayerReportTest, AZeroLayerHasNoRelativeError) {
  const LayerStatistics statistics = StatisticsOf(NormalMatrix(3, 8, 1.0, 22));
  const QuantizedLayer result = Quantize(
      MatrixF::Zero(2, 8), {.codebook = BuiltIn("nf4", true), .symmetric = true}, &statistics, 1);
  EXPECT_EQ(result.report.weight_relative_error, 0.0);
  EXPECT_EQ(result.report.output_relative_error, 0.0);
  EXPECT_EQ(result.report.code_entropy_bits, 0.0);
}

}  // namespace
}  // namespace daq
