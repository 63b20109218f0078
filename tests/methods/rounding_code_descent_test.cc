#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/blas.h"
#include "methods/nearest_codes.h"
#include "methods/quantize_layer.h"
#include "methods/registry.h"
#include "tests/methods/matrices.h"
#include "tests/methods/one_layer.h"

namespace daq {
namespace {

using Codes = std::vector<std::uint8_t>;

RecipeParts Parts(const Format& format, const Settings& settings) {
  return PartsWithRounding("rtn-daq", "code_descent", settings, format);
}

QuantizedLayer Quantize(const MatrixF& weight, const Format& format,
                        const LayerStatistics& statistics, const Settings& settings = {},
                        int threads = 1) {
  return QuantizeOneLayer(Parts(format, settings), format, weight, statistics, threads);
}

Codes Nearest(const MatrixF& weight, const QuantizedMatrix& matrix) {
  ThreadPool pool(1);
  return NearestCodes(weight, matrix.format, matrix.grid, &pool);
}

// X^T X with its diagonal damped.
MatrixD DampedGram(const MatrixF& inputs, double damping_tokens) {
  MatrixD gram = inputs.cast<double>().transpose() * inputs.cast<double>();
  gram.diagonal() *= 1 + damping_tokens / static_cast<double>(inputs.rows());
  return gram;
}

double Value(const QuantizedMatrix& matrix, Index row, Index column, std::size_t code) {
  const Index group = column / GroupLength(matrix.format, matrix.in_features);
  return static_cast<double>(
      static_cast<float>((static_cast<double>(matrix.format.codebook.values[code]) -
                          static_cast<double>(matrix.grid.zero_point(row, group))) *
                         static_cast<double>(matrix.grid.scale(row, group))));
}

MatrixD Errors(const MatrixF& weight, const QuantizedMatrix& matrix, const Codes& codes) {
  return MatrixD::NullaryExpr(weight.rows(), weight.cols(), [&](Index row, Index column) {
    return Value(matrix, row, column,
                 codes[static_cast<std::size_t>(row * weight.cols() + column)]) -
           static_cast<double>(weight(row, column));
  });
}

double Loss(const MatrixD& errors, const MatrixD& gram) {
  return (errors * gram).cwiseProduct(errors).sum();
}

// The same by its definition: each column in turn takes the code of least objective, all of them
// tried, everything computed anew.
Codes PlainDescent(const MatrixF& weight, const QuantizedMatrix& matrix, const MatrixD& gram,
                   Codes codes, Index sweeps) {
  MatrixD errors = Errors(weight, matrix, codes);
  for (Index row = 0; row < weight.rows(); ++row) {
    for (Index sweep = 0; sweep < sweeps; ++sweep) {
      for (Index column = 0; column < weight.cols(); ++column) {
        const double others =
            errors.row(row).dot(gram.row(column)) - errors(row, column) * gram(column, column);
        std::uint8_t& held = codes[static_cast<std::size_t>(row * weight.cols() + column)];
        double least = std::numeric_limits<double>::infinity();
        for (std::size_t code = 0; code < matrix.format.codebook.values.size(); ++code) {
          const double e =
              Value(matrix, row, column, code) - static_cast<double>(weight(row, column));
          const double objective = e * (gram(column, column) * e + 2 * others);
          if (objective >= least) continue;
          least = objective;
          held = static_cast<std::uint8_t>(code);
          errors(row, column) = e;
        }
      }
    }
  }
  return codes;
}

class CodeDescentTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { SetUpBlas(); }
};

// Blocks of 128 and segments of 512 columns with remainders. Everything is in double, so codes
// could differ only where two are equal to 1e-12.
TEST_F(CodeDescentTest, CodesEqualAPlainDescent) {
  for (const Index columns : {24, 128, 720}) {
    for (const Index group_size : {0, 24}) {
      if (columns % 24 != 0 && group_size != 0) continue;
      for (const std::string_view book : {"int3", "nf4"}) {
        const bool symmetric = book == "nf4";
        const Format format{
            .codebook = BuiltIn(book, symmetric), .symmetric = symmetric, .group_size = group_size};
        const MatrixF weight = NormalMatrix(5, columns, 0.02, 80);
        const MatrixF inputs = CorrelatedInputs(100, columns, 81);
        const LayerStatistics statistics = StatisticsOf(inputs);
        const QuantizedMatrix matrix =
            Quantize(weight, format, statistics,
                     {{"sweeps", std::int64_t{3}}, {"damping_tokens", 50.0}})
                .matrix;
        EXPECT_EQ(UnpackCodes(matrix), PlainDescent(weight, matrix, DampedGram(inputs, 50.0),
                                                    Nearest(weight, matrix), 3))
            << columns << " " << group_size << " " << book;
      }
    }
  }
}

TEST_F(CodeDescentTest, TheObjectiveFallsInEveryRowAndIsReportedRight) {
  const MatrixF weight = NormalMatrix(40, 160, 0.02, 82);
  for (const Index tokens : {60, 400}) {
    const MatrixF inputs = CorrelatedInputs(tokens, 160, 83);
    const LayerStatistics statistics = StatisticsOf(inputs);
    for (const double damping_tokens : {0.0, 512.0}) {
      const MatrixD gram = DampedGram(inputs, damping_tokens);
      for (const Format& format : AllFormats(32)) {
        SCOPED_TRACE(FormatName(format));
        const QuantizedLayer layer =
            Quantize(weight, format, statistics, {{"damping_tokens", damping_tokens}});
        const Codes start = Nearest(weight, layer.matrix);
        const MatrixD before = Errors(weight, layer.matrix, start);
        const MatrixD after = Errors(weight, layer.matrix, UnpackCodes(layer.matrix));
        for (Index row = 0; row < weight.rows(); ++row)
          EXPECT_LE(Loss(after.row(row), gram), Loss(before.row(row), gram) * (1 + 1e-12));
        const double outputs = static_cast<double>(tokens) * 40;
        const auto& told = layer.report.diagnostics;
        // Sums in double; where tokens < columns the loss cancels, hence no tighter.
        EXPECT_NEAR(told.at("code_descent.loss_start") * outputs / Loss(before, gram), 1, 1e-9);
        EXPECT_NEAR(told.at("code_descent.loss_end") * outputs / Loss(after, gram), 1, 1e-9);
        EXPECT_LT(told.at("code_descent.loss_end"), told.at("code_descent.loss_start"));
        EXPECT_GT(told.at("code_descent.changes"), 0.0);
        EXPECT_GE(told.at("code_descent.sweeps"), 2.0);
      }
    }
  }
}

TEST_F(CodeDescentTest, WhenItIsDoneNoSingleChangeHelps) {
  const MatrixF weight = NormalMatrix(6, 160, 0.02, 84);
  const MatrixF inputs = CorrelatedInputs(200, 160, 85);
  const LayerStatistics statistics = StatisticsOf(inputs);
  const Format format{.codebook = BuiltIn("int4", false), .group_size = 32};
  const QuantizedLayer layer =
      Quantize(weight, format, statistics, {{"sweeps", std::int64_t{1000}}});
  EXPECT_LT(layer.report.diagnostics.at("code_descent.sweeps"), 1000.0);
  const Codes codes = UnpackCodes(layer.matrix);
  EXPECT_EQ(PlainDescent(weight, layer.matrix, DampedGram(inputs, 512), codes, 1), codes);
}

TEST_F(CodeDescentTest, OutputsAreFarNearerThanByNearestCodes) {
  const MatrixF weight = NormalMatrix(40, 160, 0.02, 86);
  const LayerStatistics statistics = StatisticsOf(CorrelatedInputs(2000, 160, 87));
  const Format format{.codebook = BuiltIn("int3", false), .group_size = 32};
  const double before =
      Quantize(weight, format, statistics, {{"sweeps", std::int64_t{0}}}).report.output_mse.value();
  // Measured: 0.30.
  EXPECT_LT(Quantize(weight, format, statistics).report.output_mse.value(), 0.4 * before);
}

TEST_F(CodeDescentTest, LeavesNearestCodesWhereInputsAreUncorrelatedOrZeroOrDampingIsHuge) {
  const MatrixF weight = NormalMatrix(5, 64, 0.02, 88);
  MatrixF diagonal = MatrixF::Zero(64, 64);
  for (Index i = 0; i < 64; ++i) diagonal(i, (i * 5) % 64) = 1.0F + static_cast<float>(i % 7);
  const LayerStatistics uncorrelated = StatisticsOf(diagonal);
  const LayerStatistics zero = StatisticsOf(MatrixF::Zero(10, 64));
  const LayerStatistics correlated = StatisticsOf(CorrelatedInputs(100, 64, 89));
  for (const Format& format : AllFormats(32)) {
    SCOPED_TRACE(FormatName(format));
    for (const LayerStatistics* statistics : {&uncorrelated, &zero}) {
      const QuantizedLayer layer = Quantize(weight, format, *statistics);
      EXPECT_EQ(UnpackCodes(layer.matrix), Nearest(weight, layer.matrix));
      EXPECT_EQ(layer.report.diagnostics.at("code_descent.changes"), 0.0);
    }
    const QuantizedMatrix damped =
        Quantize(weight, format, correlated, {{"damping_tokens", 1e9}}).matrix;
    EXPECT_EQ(UnpackCodes(damped), Nearest(weight, damped));
  }
}

// Two equal inputs: 0.4 + 0.4 is nearer to 1 + 0 than to 0 + 0. Worked by hand.
TEST_F(CodeDescentTest, TwoEqualInputsShareTheirRounding) {
  MatrixF weight(1, 3);
  weight << 0.4F, 0.4F, 15.0F;  // int4: scale 1, zero-point 0
  MatrixF inputs(2, 3);
  inputs << 1, 1, 0, 0, 0, 1;
  const LayerStatistics statistics = StatisticsOf(inputs);
  const Format format{.codebook = BuiltIn("int4", false)};
  // The first column sees the error -0.4 of the second: 0.8 is nearest to 1. The second then has
  // 0.4 - 0.6, nearest to 0.
  Recipe recipe = MakeRecipe(*FindPreset("rtn-gptq"), format);
  recipe.rounding = ChoosePart(*FindPart(Roundings(), "code_descent"), {{"damping_tokens", 0.0}});
  ThreadPool pool(1);
  const QuantizedLayer layer =
      QuantizeLayer(MakeParts(recipe), format, weight,
                    {.name = "layer", .statistics = &statistics, .pool = &pool});
  EXPECT_EQ(UnpackCodes(layer.matrix), (Codes{1, 0, 15}));
  const double rows_and_tokens = 2;
  EXPECT_NEAR(layer.report.diagnostics.at("code_descent.loss_start"), 0.64 / rows_and_tokens, 1e-6);
  EXPECT_NEAR(layer.report.diagnostics.at("code_descent.loss_end"), 0.04 / rows_and_tokens, 1e-6);
  EXPECT_EQ(layer.report.diagnostics.at("code_descent.changes"), 1.0);
}

// A range that gives codes of its own, all the same.
class CodesRange final : public Range {
 public:
  void CheckFormat(const Format&) const override {}
  std::string Explain(const Format&) const override { return ""; }
  bool needs_statistics() const override { return false; }
  RangeResult Find(const ConstMatrixView& weight, const Format&,
                   const LayerContext&) const override {
    return {.grid = {.scale = MatrixF::Constant(weight.rows(), 1, 0.01F),
                     .zero_point = MatrixF::Constant(weight.rows(), 1, 8.0F)},
            .codes = Codes(static_cast<std::size_t>(weight.size()), 3),
            .diagnostics = {{"codes.asked", 1.0}}};
  }
};

TEST_F(CodeDescentTest, StartsFromTheCodesOfTheRange) {
  const MatrixF weight = NormalMatrix(4, 32, 0.02, 90);
  const LayerStatistics statistics = StatisticsOf(CorrelatedInputs(64, 32, 91));
  ThreadPool pool(1);
  const Format format{.codebook = BuiltIn("int4", false)};
  const RoundingResult result =
      Parts(format, {{"sweeps", std::int64_t{0}}})
          .rounding->Quantize(weight, CodesRange(), format,
                              {.name = "layer", .statistics = &statistics, .pool = &pool});
  EXPECT_EQ(UnpackCodes(result.matrix), Codes(4 * 32, 3));
  EXPECT_EQ(result.diagnostics.at("codes.asked"), 1.0);
  EXPECT_EQ(result.diagnostics.at("code_descent.sweeps"), 0.0);
}

TEST_F(CodeDescentTest, TheSameBitsForAnyThreadCountAndAnyRowsBeside) {
  const MatrixF weight = NormalMatrix(100, 700, 0.02, 92);
  const LayerStatistics statistics = StatisticsOf(CorrelatedInputs(300, 700, 93));
  const Format format{.codebook = BuiltIn("nf4", true), .symmetric = true, .group_size = 50};
  const QuantizedLayer one = Quantize(weight, format, statistics, {}, 1);
  const QuantizedLayer three = Quantize(weight, format, statistics, {}, 3);
  EXPECT_EQ(Serialize(one.matrix), Serialize(three.matrix));
  EXPECT_EQ(one.report, three.report);
  // In double, so that how OpenBLAS rounds a row by its place decides no code.
  const Codes all = UnpackCodes(one.matrix);
  const Codes last = UnpackCodes(Quantize(weight.bottomRows(7), format, statistics).matrix);
  EXPECT_TRUE(std::equal(last.begin(), last.end(), all.end() - 7 * 700));
}

}  // namespace
}  // namespace daq
