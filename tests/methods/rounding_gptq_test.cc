#include <gtest/gtest.h>

#include <Eigen/Cholesky>
#include <Eigen/LU>
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <memory>
#include <numeric>
#include <ostream>
#include <set>
#include <string>

#include "base/blas.h"
#include "methods/inverse_factor.h"
#include "methods/nearest_codes.h"
#include "methods/quantize_layer.h"
#include "methods/registry.h"
#include "tests/methods/matrices.h"
#include "tests/methods/one_layer.h"
#include "tests/support/input_error.h"

namespace daq {

struct GptqCase {
  std::string book;
  Index columns;
  Index group_size;
  Index block_size;
  bool act_order;
  bool static_groups;
};

void PrintTo(const GptqCase& test, std::ostream* out);
void PrintTo(const GptqCase& test, std::ostream* out) {
  *out << test.book << " " << test.columns << " columns, groups of " << test.group_size
       << ", blocks of " << test.block_size << (test.act_order ? ", act_order" : "")
       << (test.static_groups ? ", static_groups" : "");
}

namespace {

Format FormatOf(std::string_view book, Index group_size) {
  const bool symmetric = book.starts_with("nf");
  return {.codebook = BuiltIn(book, symmetric), .symmetric = symmetric, .group_size = group_size};
}

RecipeParts Parts(const Format& format, const Settings& settings) {
  return PartsWithRounding("rtn-gptq", "gptq", settings, format);
}

QuantizedLayer Quantize(const MatrixF& weight, const Format& format,
                        const LayerStatistics& statistics, const Settings& settings = {},
                        int threads = 1) {
  return QuantizeOneLayer(Parts(format, settings), format, weight, statistics, threads);
}

MatrixF Restored(const QuantizedMatrix& matrix) {
  MatrixF weight(matrix.out_features, matrix.in_features);
  Dequantize(matrix, weight);
  return weight;
}

// H with a 1 for dead features, damped, in double and input order.
MatrixD DampedH(const MatrixF& inputs, double damp_percent) {
  const MatrixD x = inputs.cast<double>();
  MatrixD h = x.transpose() * x * (2.0 / static_cast<double>(inputs.rows()));
  for (Index c = 0; c < h.cols(); ++c) {
    if (h(c, c) == 0) h(c, c) = 1;
  }
  const double mean = h.diagonal().mean();
  h.diagonal().array() += damp_percent * mean;
  return h;
}

std::vector<Index> OrderOf(const MatrixD& h, bool act_order) {
  std::vector<Index> order(static_cast<std::size_t>(h.rows()));
  std::iota(order.begin(), order.end(), Index{0});
  if (act_order) {
    std::stable_sort(order.begin(), order.end(),
                     [&](Index a, Index b) { return h(a, a) > h(b, b); });
  }
  return order;
}

// What the reference has to say of one weight, in order of work.
struct Reference {
  MatrixD corrected;  // the weight that was rounded
  Eigen::Matrix<int, Eigen::Dynamic, Eigen::Dynamic> codes;
  MatrixD scale;  // the grid it was rounded by
  MatrixD zero_point;
};

// GPTQ by its definition, in double: the inverse itself is kept and updated by elimination after
// each column, every later column is corrected after each column. Only the moment at which a
// group's range is found knows of blocks.
Reference PlainGptq(const MatrixF& weight, const Format& format, const MatrixF& inputs,
                    const GptqCase& test) {
  const Index rows = weight.rows();
  const Index columns = weight.cols();
  const MatrixD h = DampedH(inputs, 0.01);
  const std::vector<Index> order = OrderOf(h, test.act_order);
  const RecipeParts parts = Parts(format, {});
  ThreadPool pool(1);
  const LayerContext context{.name = "layer", .pool = &pool};
  MatrixD w(rows, columns);
  MatrixD ordered_h(columns, columns);
  for (Index p = 0; p < columns; ++p) {
    w.col(p) = weight.col(order[static_cast<std::size_t>(p)]).cast<double>();
    for (Index q = 0; q < columns; ++q)
      ordered_h(p, q) = h(order[static_cast<std::size_t>(p)], order[static_cast<std::size_t>(q)]);
  }
  MatrixD inverse = ordered_h.inverse();
  const Grid up_front = parts.range->Find(weight, format, context).grid;
  Reference result{.corrected = MatrixD(rows, columns),
                   .codes = {},
                   .scale = MatrixD(rows, columns),
                   .zero_point = MatrixD(rows, columns)};
  result.codes.resize(rows, columns);
  MatrixF at_block_start;
  Grid reached;
  for (Index p = 0; p < columns; ++p) {
    if (p % test.block_size == 0) at_block_start = w.cast<float>();
    const bool is_reached = test.group_size != 0 && !test.static_groups;
    if (is_reached && p % test.group_size == 0)
      reached =
          parts.range->Find(at_block_start.middleCols(p, test.group_size), format, context).grid;
    const Index feature = order[static_cast<std::size_t>(p)];
    const Index group = is_reached || test.group_size == 0 ? 0 : feature / test.group_size;
    const Grid& grid = is_reached ? reached : up_front;
    for (Index row = 0; row < rows; ++row) {
      const auto scale = static_cast<double>(grid.scale(row, group));
      const auto zero_point = static_cast<double>(grid.zero_point(row, group));
      int best = 0;
      for (int code = 1; code < static_cast<int>(format.codebook.values.size()); ++code) {
        const auto distance = [&](int k) {
          const auto value =
              static_cast<double>(format.codebook.values[static_cast<std::size_t>(k)]);
          return std::abs((value - zero_point) * scale - w(row, p));
        };
        if (distance(code) < distance(best)) best = code;
      }
      result.corrected(row, p) = w(row, p);
      result.codes(row, p) = best;
      result.scale(row, p) = scale;
      result.zero_point(row, p) = zero_point;
      const double q =
          (static_cast<double>(format.codebook.values[static_cast<std::size_t>(best)]) -
           zero_point) *
          scale;
      const double error = (w(row, p) - q) / inverse(p, p);
      for (Index j = p + 1; j < columns; ++j) w(row, j) -= error * inverse(p, j);
    }
    inverse -= MatrixD(inverse.col(p) * inverse.row(p) / inverse(p, p));
  }
  return result;
}

// How far the corrected weight is from where its code would change.
double DistanceToThreshold(const Format& format, const Reference& reference, Index row, Index p) {
  double least = std::numeric_limits<double>::infinity();
  const std::vector<float>& values = format.codebook.values;
  for (std::size_t k = 0; k + 1 < values.size(); ++k) {
    const double middle = (static_cast<double>(values[k]) + static_cast<double>(values[k + 1])) / 2;
    const double threshold = (middle - reference.zero_point(row, p)) * reference.scale(row, p);
    least = std::min(least, std::abs(reference.corrected(row, p) - threshold));
  }
  return least;
}

class GptqReferenceTest : public testing::TestWithParam<GptqCase> {
 protected:
  static void SetUpTestSuite() { SetUpBlas(); }
};

TEST_P(GptqReferenceTest, CodesEqualPlainGptqInDouble) {
  const GptqCase& test = GetParam();
  const Format format = FormatOf(test.book, test.group_size);
  const MatrixF weight = NormalMatrix(40, test.columns, 0.02, 50);
  const MatrixF inputs = CorrelatedInputs(2 * test.columns, test.columns, 51);
  const LayerStatistics statistics = StatisticsOf(inputs);
  const QuantizedMatrix matrix = Quantize(weight, format, statistics,
                                          {{"act_order", test.act_order},
                                           {"static_groups", test.static_groups},
                                           {"block_size", std::int64_t{test.block_size}}})
                                     .matrix;
  const Reference reference = PlainGptq(weight, format, inputs, test);
  const std::vector<Index> order = OrderOf(DampedH(inputs, 0.01), test.act_order);
  const bool stores_order = test.act_order && test.group_size != 0 && !test.static_groups;
  EXPECT_EQ(matrix.column_order.empty(), !stores_order);
  if (stores_order) {
    EXPECT_TRUE(std::equal(order.begin(), order.end(), matrix.column_order.begin()));
  }
  const std::vector<std::uint8_t> codes = UnpackCodes(matrix);
  // Each of up to `columns` corrections is rounded to float32 with an error of 2^-24 of what it is
  // added to (below 0.2 here), and so is U.
  const double tolerance = static_cast<double>(test.columns) * 2 * 0x1p-24 * 0.2;
  Index whole_rows = 0;
  for (Index row = 0; row < weight.rows(); ++row) {
    Index p = 0;
    for (; p < test.columns; ++p) {
      const Index stored = stores_order ? p : order[static_cast<std::size_t>(p)];
      if (codes[static_cast<std::size_t>(row * test.columns + stored)] == reference.codes(row, p))
        continue;
      // A difference is allowed on the edge only; the rest of the row then differs rightly.
      EXPECT_LT(DistanceToThreshold(format, reference, row, p), tolerance)
          << "row " << row << " position " << p;
      break;
    }
    whole_rows += p == test.columns ? 1 : 0;
  }
  EXPECT_GE(whole_rows, 36);  // of 40: the edge is some 1e-3 of a step wide
}

INSTANTIATE_TEST_SUITE_P(
    Cases, GptqReferenceTest,
    testing::Values(
        GptqCase{"int4", 96, 0, 128, false, false},    // one block
        GptqCase{"int4", 300, 0, 128, false, false},   // the last block is short
        GptqCase{"int4", 300, 0, 1, false, false},     // as if unblocked
        GptqCase{"int4", 300, 0, 1024, false, false},  // one block for all
        GptqCase{"nf4", 300, 0, 48, false, false}, GptqCase{"int8", 160, 0, 128, false, false},
        GptqCase{"int3", 320, 32, 128, false, false},   // groups inside a block
        GptqCase{"int3", 320, 80, 128, false, false},   // groups across blocks
        GptqCase{"int3", 320, 160, 128, false, false},  // groups longer than a block
        GptqCase{"nf3", 320, 40, 32, false, false}, GptqCase{"int3", 320, 32, 128, false, true},
        GptqCase{"int4", 300, 0, 128, true, false}, GptqCase{"int3", 320, 32, 128, true, false},
        GptqCase{"nf4", 320, 80, 128, true, false}, GptqCase{"int3", 320, 32, 128, true, true}));

class GptqTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { SetUpBlas(); }
};

// err^2 summed is e H e^T of the final errors e: what one rounding leaves, the later columns cannot
// make good. It ties codes, U and H together.
TEST_F(GptqTest, ItsErrorIsTheDampedErrorOfTheOutputs) {
  for (const Index group_size : {0, 32}) {
    for (const bool act_order : {false, true}) {
      const MatrixF weight = NormalMatrix(40, 160, 0.02, 52);
      const MatrixF inputs = CorrelatedInputs(200, 160, 53);
      const LayerStatistics statistics = StatisticsOf(inputs);
      const QuantizedLayer layer = Quantize(weight, FormatOf("int4", group_size), statistics,
                                            {{"damp_percent", 0.05}, {"act_order", act_order}});
      const MatrixD e = (Restored(layer.matrix) - weight).cast<double>();
      const MatrixD h = DampedH(inputs, 0.05);
      const double expected = (e * h).cwiseProduct(e).sum() / 2;
      // Corrections in float32, 160 of them.
      EXPECT_NEAR(layer.report.diagnostics.at("gptq.error") / expected, 1.0, 160 * 0x1p-23);
      EXPECT_NEAR(layer.report.diagnostics.at("gptq.trace") / DampedH(inputs, 0).trace(), 1.0,
                  1e-12);
      EXPECT_EQ(layer.report.diagnostics.at("gptq.damp_percent"), 0.05);
      EXPECT_EQ(layer.report.diagnostics.at("gptq.dead_columns"), 0.0);
    }
  }
}

TEST_F(GptqTest, OutputsAreFarNearerThanByNearestCodes) {
  const MatrixF weight = NormalMatrix(40, 160, 0.02, 54);
  const LayerStatistics statistics = StatisticsOf(CorrelatedInputs(400, 160, 55));
  ThreadPool pool(1);
  for (const std::string_view book : {"int3", "int4", "nf4", "int8"}) {
    for (const Index group_size : {0, 32}) {
      const Format format = FormatOf(book, group_size);
      const QuantizedLayer nearest =
          QuantizeLayer(MakeParts(MakeRecipe(*FindPreset("rtn-gptq"), format)), format, weight,
                        {.name = "layer", .statistics = &statistics, .pool = &pool});
      // Measured: 0.29 to 0.33.
      EXPECT_LT(Quantize(weight, format, statistics).report.output_mse.value(),
                0.4 * nearest.report.output_mse.value())
          << book << " " << group_size;
    }
  }
}

// Without correlations there is nothing to make good, and a tie goes to the lower code as
// everywhere.
TEST_F(GptqTest, UncorrelatedInputsGiveTheNearestCodes) {
  MatrixF weight = NormalMatrix(5, 64, 0.02, 56);
  weight.row(0).setZero();
  weight(0, 0) = -15.0F;  // scale 1 (int4), zero-point 15
  weight(0, 1) = -7.5F;   // ties
  weight(0, 2) = -0.5F;
  MatrixF inputs = MatrixF::Zero(64, 64);
  for (Index i = 0; i < 64; ++i) inputs(i, (i * 5) % 64) = 1.0F + static_cast<float>(i % 7);
  const LayerStatistics statistics = StatisticsOf(inputs);
  ThreadPool pool(1);
  const Format format = FormatOf("int4", 0);
  for (const bool act_order : {false, true}) {
    const QuantizedMatrix matrix =
        Quantize(weight, format, statistics, {{"act_order", act_order}}).matrix;
    EXPECT_EQ(UnpackCodes(matrix), NearestCodes(weight, format, matrix.grid, &pool));
    EXPECT_EQ(UnpackCodes(matrix)[1], 7);
    EXPECT_EQ(UnpackCodes(matrix)[2], 14);
  }
}

TEST_F(GptqTest, DeadColumnsBecomeZeroAndDoNotDisturbTheOthers) {
  const MatrixF weight = NormalMatrix(40, 96, 0.02, 57);
  MatrixF inputs = CorrelatedInputs(200, 96, 58);
  inputs.col(3).setZero();
  inputs.col(70).setZero();
  const LayerStatistics statistics = StatisticsOf(inputs);
  for (const Index group_size : {0, 32}) {
    for (const bool act_order : {false, true}) {
      const QuantizedLayer layer =
          Quantize(weight, FormatOf("int4", group_size), statistics, {{"act_order", act_order}});
      const MatrixF restored = Restored(layer.matrix);
      EXPECT_EQ(layer.report.diagnostics.at("gptq.dead_columns"), 2.0);
      // The range contains 0 exactly, so nothing is left to correct.
      EXPECT_EQ(restored.col(3), MatrixF::Zero(40, 1));
      EXPECT_EQ(restored.col(70), MatrixF::Zero(40, 1));
      // With column 3 set to 0 beforehand the outcome is the same where ranges see the same.
      MatrixF without = weight;
      without.col(3).setZero();
      without.col(70).setZero();
      if (group_size != 0 && !act_order) {
        EXPECT_EQ(restored,
                  Restored(Quantize(without, FormatOf("int4", group_size), statistics).matrix));
      }
    }
  }
}

TEST_F(GptqTest, InputsThatAreAllZeroGiveZeros) {
  const MatrixF weight = NormalMatrix(4, 32, 0.02, 59);
  const LayerStatistics statistics = StatisticsOf(MatrixF::Zero(10, 32));
  const QuantizedLayer layer = Quantize(weight, FormatOf("int4", 0), statistics);
  EXPECT_EQ(Restored(layer.matrix), MatrixF::Zero(4, 32));
  EXPECT_EQ(layer.report.diagnostics.at("gptq.dead_columns"), 32.0);
  EXPECT_EQ(layer.report.diagnostics.at("gptq.error"), 0.0);
  EXPECT_EQ(layer.report.diagnostics.at("gptq.trace"), 0.0);
}

TEST_F(GptqTest, ASingularMatrixIsDampedMoreAndTheReportSaysSo) {
  const MatrixF weight = NormalMatrix(10, 96, 0.02, 60);
  const LayerStatistics few = StatisticsOf(CorrelatedInputs(40, 96, 61));
  const LayerStatistics many = StatisticsOf(CorrelatedInputs(400, 96, 62));
  const Format format = FormatOf("int4", 0);
  const auto damping = [&](const LayerStatistics& statistics, double damp_percent) {
    return Quantize(weight, format, statistics, {{"damp_percent", damp_percent}})
        .report.diagnostics.at("gptq.damp_percent");
  };
  EXPECT_EQ(damping(few, 0.0), 1e-4);
  EXPECT_EQ(damping(few, 1e-17), 1e-4);
  EXPECT_EQ(damping(few, 0.01), 0.01);
  EXPECT_EQ(damping(many, 0.0), 0.0);
}

// The factor by its definition in extended precision: H + damping = R R^T from the last row up, U =
// R^-1.
Eigen::Matrix<long double, Eigen::Dynamic, Eigen::Dynamic> ExtendedFactor(const MatrixF& inputs,
                                                                          double damp_percent) {
  using Extended = Eigen::Matrix<long double, Eigen::Dynamic, Eigen::Dynamic>;
  const Extended x = inputs.cast<long double>();
  Extended h = x.transpose() * x * (2.0L / static_cast<long double>(inputs.rows()));
  h.diagonal().array() += static_cast<long double>(damp_percent) * h.diagonal().mean();
  const Eigen::LLT<Extended> flipped(h.reverse());
  const Extended r = Extended(flipped.matrixL()).reverse();
  return r.triangularView<Eigen::Upper>().solve(Extended::Identity(h.rows(), h.cols()));
}

// With few tokens U comes from the inputs, else from the Gram matrix; tokens that are all 0 make
// the one case the other and change H by a factor alone. Both raise the same dampings, and the
// factors of those that they do not raise have digits: pivots are at least the damping, and lose n
// * 2^-52 of the mean diagonal at most.
TEST_F(GptqTest, TooLittleDampingIsRaisedForFewTokensAsForMany) {
  ThreadPool pool(2);
  for (const MatrixF& inputs : {NormalMatrix(40, 400, 1.0, 76), CorrelatedInputs(40, 400, 77)}) {
    MatrixF padded = MatrixF::Zero(110, 400);
    padded.topRows(40) = inputs;
    const LayerStatistics few = StatisticsOf(inputs);
    const LayerStatistics many = StatisticsOf(padded);
    int raised = 0;
    for (const double damp : {1e-2, 1e-10, 1e-12, 1e-13, 1e-17}) {
      const InverseFactor& factor =
          InverseFactorOf({.name = "few", .statistics = &few, .pool = &pool}, damp, false);
      EXPECT_EQ(InverseFactorOf({.name = "many", .statistics = &many, .pool = &pool}, damp, false)
                    .damp_percent,
                factor.damp_percent)
          << damp;
      const bool is_raised = factor.damp_percent != damp;
      EXPECT_TRUE(!is_raised || factor.damp_percent == 1e-4) << factor.damp_percent;
      raised += is_raised ? 1 : 0;
      const auto expected = ExtendedFactor(inputs, factor.damp_percent);
      const auto error = (factor.upper.cast<long double>() - expected).norm() / expected.norm();
      EXPECT_LE(static_cast<double>(error), 0x1p-24 + 400 * 0x1p-52 / factor.damp_percent) << damp;
    }
    EXPECT_GE(raised, 2);
    EXPECT_LE(raised, 3);
  }
}

TEST_F(GptqTest, InputsThatAreNotFiniteAreRefusedByName) {
  MatrixF inputs = CorrelatedInputs(40, 32, 63);
  inputs(7, 4) = std::numeric_limits<float>::quiet_NaN();
  const LayerStatistics statistics = StatisticsOf(inputs);
  const std::string error = InputErrorOf(
      "", [&] { Quantize(NormalMatrix(4, 32, 0.02, 64), FormatOf("int4", 0), statistics); });
  EXPECT_TRUE(error.starts_with(
      "layer: calibration inputs: expected finite numbers, so that X^T X is positive definite with "
      "damp_percent 10, found a trace of X^T X of "))
      << error;
}

TEST_F(GptqTest, CorrectionsBeyondFloat32AreRefusedByName) {
  MatrixF weight = NormalMatrix(3, 96, 0.02, 65);
  weight.row(1) = weight.row(1).cwiseSign() * 1.5e38F;
  const LayerStatistics statistics = StatisticsOf(CorrelatedInputs(40, 96, 66));
  // Errors of up to 5e37, half a step of this grid, add up.
  EXPECT_EQ(InputErrorOf("", [&] { Quantize(weight, FormatOf("int2", 0), statistics); }),
            "layer: weight[1]: expected weights whose GPTQ corrections fit in float32, found an "
            "overflow");
}

TEST_F(GptqTest, TheSameBitsForAnyThreadCountAcrossBlocksAndProducts) {
  const MatrixF weight = NormalMatrix(150, 1300, 0.02, 67);
  const MatrixF inputs = CorrelatedInputs(300, 1300, 68);
  for (const Index group_size : {0, 50}) {
    const Format format = FormatOf("int4", group_size);
    // Statistics of their own, so that the factor is computed by each pool.
    const LayerStatistics first = StatisticsOf(inputs);
    const LayerStatistics second = StatisticsOf(inputs);
    const QuantizedLayer one = Quantize(weight, format, first, {{"act_order", true}}, 1);
    const QuantizedLayer three = Quantize(weight, format, second, {{"act_order", true}}, 3);
    EXPECT_EQ(Serialize(one.matrix), Serialize(three.matrix));
    EXPECT_EQ(one.report, three.report);
  }
}

TEST_F(GptqTest, ARowsCodesDoNotDependOnTheRowsBeside) {
  const MatrixF weight = NormalMatrix(150, 1300, 0.02, 69);
  const LayerStatistics statistics = StatisticsOf(CorrelatedInputs(300, 1300, 70));
  const Format format = FormatOf("int4", 50);
  const std::vector<std::uint8_t> all = UnpackCodes(Quantize(weight, format, statistics).matrix);
  for (const Index rows : {1, 3, 33, 100}) {
    const std::vector<std::uint8_t> last =
        UnpackCodes(Quantize(weight.bottomRows(rows), format, statistics).matrix);
    EXPECT_TRUE(std::equal(last.begin(), last.end(), all.end() - rows * 1300)) << rows;
  }
}

TEST_F(GptqTest, TheFactorIsMadeOnceForAllThatAskForTheSame) {
  const LayerStatistics statistics = StatisticsOf(CorrelatedInputs(80, 64, 71));
  ThreadPool pool(1);
  const LayerContext query{.name = "query", .statistics = &statistics, .pool = &pool};
  const LayerContext key{.name = "key", .statistics = &statistics, .pool = &pool};
  const InverseFactor& factor = InverseFactorOf(query, 0.01, false);
  EXPECT_EQ(&factor, &InverseFactorOf(key, 0.01, false));
  EXPECT_NE(&factor, &InverseFactorOf(key, 0.1, false));
  EXPECT_NE(&factor, &InverseFactorOf(key, 0.01, true));
}

TEST_F(GptqTest, EqualDiagonalsKeepTheirOrder) {
  MatrixF inputs = MatrixF::Ones(10, 8);
  inputs.col(5) *= 2.0F;
  inputs.col(2) *= 0.5F;
  const LayerStatistics statistics = StatisticsOf(inputs);
  ThreadPool pool(1);
  const LayerContext layer{.name = "layer", .statistics = &statistics, .pool = &pool};
  EXPECT_EQ(InverseFactorOf(layer, 0.01, true).order,
            (std::vector<std::int32_t>{5, 0, 1, 3, 4, 6, 7, 2}));
}

// A range that remembers what it was asked.
class RecordingRange final : public Range {
 public:
  struct Call {
    MatrixF weight;
    std::vector<Index> columns;
  };

  explicit RecordingRange(std::vector<Call>* calls) : calls_(calls) {}

  void CheckFormat(const Format&) const override {}
  std::string Explain(const Format&) const override { return ""; }
  bool needs_statistics() const override { return false; }
  std::span<const DiagnosticSpec> diagnostics() const override {
    static constexpr std::array<DiagnosticSpec, 1> specs = {
        {{"recording.calls", DiagnosticJoin::kSum, "calls"}}};
    return specs;
  }
  RangeResult Find(const ConstMatrixView& weight, const Format& format,
                   const LayerContext& layer) const override {
    calls_->push_back({weight, {layer.columns.begin(), layer.columns.end()}});
    const Index groups = GroupsPerRow(format, weight.cols(), layer.name);
    return {.grid = {.scale = MatrixF::Constant(weight.rows(), groups, 0.01F),
                     .zero_point = MatrixF::Zero(weight.rows(), groups)},
            .codes = {},
            .diagnostics = {{"recording.calls", 1.0}}};
  }

 private:
  std::vector<Call>* calls_;
};

TEST_F(GptqTest, RangesAreAskedForGroupsWhenTheyAreReachedAndToldTheirColumns) {
  const MatrixF weight = NormalMatrix(4, 240, 0.02, 72);
  const MatrixF inputs = CorrelatedInputs(300, 240, 73);
  const LayerStatistics statistics = StatisticsOf(inputs);
  ThreadPool pool(1);
  const LayerContext layer{.name = "layer", .statistics = &statistics, .pool = &pool};
  for (const bool act_order : {false, true}) {
    std::vector<RecordingRange::Call> calls;
    const std::unique_ptr<Rounding> gptq =
        Parts(FormatOf("nf4", 40), {{"act_order", act_order}}).rounding;
    const RoundingResult result =
        gptq->Quantize(weight, RecordingRange(&calls), FormatOf("nf4", 40), layer);
    // Groups of 40 that begin in [0, 128): 0, 40, 80, 120; in [128, 240): 160, 200.
    ASSERT_EQ(calls.size(), 2U);
    const std::vector<Index> order = OrderOf(DampedH(inputs, 0.01), act_order);
    EXPECT_EQ(calls[0].columns, std::vector<Index>(order.begin(), order.begin() + 160));
    EXPECT_EQ(calls[1].columns, std::vector<Index>(order.begin() + 160, order.end()));
    for (Index p = 0; p < 160; ++p)
      EXPECT_EQ(calls[0].weight.col(p), weight.col(order[static_cast<std::size_t>(p)]));
    EXPECT_NE(calls[1].weight.col(0), weight.col(order[160]));  // the first block has corrected it
    EXPECT_EQ(result.diagnostics.at("recording.calls"), 2.0);
  }
}

// A registered range that keeps what it said, and of how many groups.
class OverheardRange final : public Range {
 public:
  struct Said {
    Diagnostics diagnostics;
    double groups;
  };

  explicit OverheardRange(std::string_view name)
      : range_(
            FindPart(Ranges(), name)->make(DefaultSettings(FindPart(Ranges(), name)->settings()))) {
  }

  void CheckFormat(const Format&) const override {}
  std::string Explain(const Format&) const override { return ""; }
  bool needs_statistics() const override { return true; }
  std::span<const DiagnosticSpec> diagnostics() const override { return range_->diagnostics(); }
  RangeResult Find(const ConstMatrixView& weight, const Format& format,
                   const LayerContext& layer) const override {
    RangeResult result = range_->Find(weight, format, layer);
    said_.push_back({result.diagnostics, static_cast<double>(result.grid.scale.cols())});
    return result;
  }
  const std::vector<Said>& said() const { return said_; }

 private:
  std::unique_ptr<Range> range_;
  mutable std::vector<Said> said_;
};

// What is a mean over groups stays one, whatever number of calls the groups came in, and what is
// the same for all groups is not counted twice.
TEST_F(GptqTest, DiagnosticsOfRangesAreOfTheWholeLayer) {
  const MatrixF weight = HeavyTailedMatrix(4, 240, 0.3, 74);
  const LayerStatistics statistics = StatisticsOf(CorrelatedInputs(300, 240, 75));
  ThreadPool pool(1);
  const LayerContext layer{.name = "layer", .statistics = &statistics, .pool = &pool};
  const std::set<std::string> means = {"clip.shrink", "clip.loss_start", "clip.loss_end",
                                       "daq.iterations"};
  const std::map<std::string, std::size_t> ranges = {{"clip", 3}, {"daq", 6}, {"daq_plus", 9}};
  for (const auto& [name, count] : ranges) {
    for (const Index group_size : {0, 40}) {
      const OverheardRange range(name);
      const Format format = FormatOf("nf3", group_size);
      const Diagnostics found =
          Parts(format, {}).rounding->Quantize(weight, range, format, layer).diagnostics;
      // 40: four groups that begin in the first 128 columns, then two.
      ASSERT_EQ(range.said().size(), group_size == 0 ? 1U : 2U);
      EXPECT_EQ(range.said()[0].diagnostics.size(), count);
      for (const auto& [diagnostic, first] : range.said()[0].diagnostics) {
        SCOPED_TRACE(diagnostic + " " + std::to_string(group_size));
        if (group_size == 0 || diagnostic == "daq_plus.lambda") {
          EXPECT_EQ(found.at(diagnostic), first);
          continue;
        }
        const double second = range.said()[1].diagnostics.at(diagnostic);
        const double expected =
            means.contains(diagnostic) ? (4 * first + 2 * second) / 6 : first + second;
        EXPECT_DOUBLE_EQ(found.at(diagnostic), expected);
      }
    }
  }
}

}  // namespace
}  // namespace daq
