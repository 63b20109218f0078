// The daq_plus range: what it promises against daq, and its pieces against plain computations.
#include <gtest/gtest.h>

#include <numeric>

#include "base/blas.h"
#include "methods/cross_terms.h"
#include "methods/daq.h"
#include "methods/recipe.h"
#include "methods/registry.h"
#include "tests/methods/dense_sign_search.h"
#include "tests/methods/matrices.h"

namespace daq {
namespace {

constexpr Index kColumns = 64;

RangeResult Find(std::string_view name, const Settings& overrides, const MatrixF& inputs,
                 const MatrixF& weight, const Format& format) {
  const PartEntry<Range>& entry = *FindPart(Ranges(), name);
  ThreadPool pool(1);
  const LayerStatistics statistics(inputs, &pool);
  return entry.make(ChoosePart(entry, overrides).settings)
      ->Find(weight, format, {.name = "layer", .statistics = &statistics, .pool = &pool});
}

// w' - w with the stored codes and grid.
MatrixD Errors(const RangeResult& result, const MatrixF& weight, const Format& format) {
  const Index length = GroupLength(format, weight.cols());
  return MatrixD::NullaryExpr(weight.rows(), weight.cols(), [&](Index row, Index column) {
    const float value =
        format.codebook
            .values[result.codes[static_cast<std::size_t>(row * weight.cols() + column)]];
    const auto zero_point = static_cast<double>(result.grid.zero_point(row, column / length));
    const auto scale = static_cast<double>(result.grid.scale(row, column / length));
    return (static_cast<double>(value) - zero_point) * scale -
           static_cast<double>(weight(row, column));
  });
}

// sum over rows of the mean over tokens of (x e)^2, of each group's own part or of the whole.
double OutputLoss(const MatrixD& errors, const MatrixF& inputs, Index length) {
  double sum = 0;
  for (Index row = 0; row < errors.rows(); ++row) {
    for (Index first = 0; first < errors.cols(); first += length) {
      for (Index token = 0; token < inputs.rows(); ++token) {
        double output = 0;
        for (Index i = first; i < first + length; ++i)
          output += errors(row, i) * static_cast<double>(inputs(token, i));
        sum += output * output / static_cast<double>(inputs.rows());
      }
    }
  }
  return sum;
}

double Penalty(const MatrixD& errors, const MatrixF& inputs) {
  double sum = 0;
  for (Index i = 0; i < errors.cols(); ++i) {
    double square = 0;
    for (Index token = 0; token < inputs.rows(); ++token)
      square +=
          std::pow(static_cast<double>(inputs(token, i)), 2) / static_cast<double>(inputs.rows());
    for (Index row = 0; row < errors.rows(); ++row) sum += square * errors(row, i) * errors(row, i);
  }
  return sum;
}

// Inputs whose columns share directions, so that groups matter to each other.
MatrixF CorrelatedInputs(Index tokens, std::uint64_t seed) {
  const MatrixF directions = NormalMatrix(tokens, 6, 1.0, seed);
  const MatrixF mix = NormalMatrix(6, kColumns, 1.0, seed + 1);
  MatrixF inputs = NormalMatrix(tokens, kColumns, 0.3, seed + 2);
  for (Index k = 0; k < 6; ++k) inputs += directions.col(k) * mix.row(k);
  return inputs;
}

class RangeDaqPlusTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { SetUpBlas(); }

  // Fewer and more tokens than features.
  static std::vector<MatrixF> SomeInputs() {
    return {CorrelatedInputs(40, 91), CorrelatedInputs(100, 94)};
  }
};

// Scale and zero-point are stored as floats, off by 2^-24 of weights up to 500 times their error (8
// bits): twice that of the squared error, with room for the same of the zero-point.
constexpr double kStored = 1e-4;

TEST_F(RangeDaqPlusTest, IsNeverWorseThanDaqOnItsOwnLoss) {
  const MatrixF weight = HeavyTailedMatrix(6, kColumns, 0.3, 97);
  for (const MatrixF& inputs : SomeInputs()) {
    for (const Index group_size : {0, 32}) {
      for (const Format& format : AllFormats(group_size)) {
        SCOPED_TRACE(FormatName(format) + " " + GranularityName(format));
        const RangeResult plus = Find(
            "daq_plus", {{"penalty_tokens", 0.0}, {"joint_groups", false}}, inputs, weight, format);
        const RangeResult daq = Find("daq", {}, inputs, weight, format);
        const double daq_end = daq.diagnostics.at("daq.loss_end");
        EXPECT_EQ(plus.diagnostics.at("daq.loss_end"), daq_end);
        EXPECT_NEAR(plus.diagnostics.at("daq_plus.loss_daq"), daq_end, 1e-12 * daq_end);
        EXPECT_LE(plus.diagnostics.at("daq_plus.loss_end"),
                  plus.diagnostics.at("daq_plus.loss_daq"));
        const double stored =
            OutputLoss(Errors(plus, weight, format), inputs, GroupLength(format, kColumns));
        EXPECT_NEAR(plus.diagnostics.at("daq_plus.loss_end"), stored, kStored * stored);
      }
    }
  }
}

TEST_F(RangeDaqPlusTest, JointGroupsAreNeverWorseOnTheWholeOutput) {
  const MatrixF weight = HeavyTailedMatrix(6, kColumns, 0.3, 98);
  for (const MatrixF& inputs : SomeInputs()) {
    for (const double lambda : {0.0, 0.3}) {
      for (const std::string_view book : {"nf4", "int3", "int8"}) {
        const Format format{.codebook = BuiltIn(book, false), .group_size = 16};
        SCOPED_TRACE(FormatName(format));
        const auto find = [&](bool joint, Index sweeps) {
          return Find("daq_plus",
                      {{"penalty", std::string("fixed")},
                       {"penalty_weight", lambda},
                       {"joint_groups", joint},
                       {"sweeps", std::int64_t{sweeps}}},
                      inputs, weight, format);
        };
        const auto whole = [&](const RangeResult& result) {
          const MatrixD errors = Errors(result, weight, format);
          return OutputLoss(errors, inputs, kColumns) + lambda * Penalty(errors, inputs);
        };
        const RangeResult independent = find(false, 1);
        const RangeResult joint = find(true, 1);
        const RangeResult again = find(true, 3);
        const RangeResult daq = Find("daq", {}, inputs, weight, format);
        EXPECT_LT(whole(joint), 0.8 * whole(independent));  // these groups matter to each other
        EXPECT_LE(whole(again), whole(joint) * (1 + kStored));
        EXPECT_NEAR(joint.diagnostics.at("daq_plus.loss_daq"), whole(daq), kStored * whole(daq));
        EXPECT_NEAR(joint.diagnostics.at("daq_plus.loss_end"), whole(joint),
                    kStored * whole(joint));
        EXPECT_EQ(joint.diagnostics.at("daq_plus.lambda"), lambda);
      }
    }
  }
}

TEST_F(RangeDaqPlusTest, EachRowIsNoWorseJointly) {
  const MatrixF weight = NormalMatrix(40, kColumns, 0.02, 99);  // more rows than a tile
  const MatrixF inputs = NormalMatrix(50, kColumns, 1.0, 100);  // groups hardly matter: close calls
  const Format format{.codebook = BuiltIn("nf4", false), .group_size = 32};
  const MatrixD joint =
      Errors(Find("daq_plus", {{"penalty_tokens", 0.0}}, inputs, weight, format), weight, format);
  const MatrixD independent = Errors(
      Find("daq_plus", {{"penalty_tokens", 0.0}, {"joint_groups", false}}, inputs, weight, format),
      weight, format);
  const MatrixD daq = Errors(Find("daq", {}, inputs, weight, format), weight, format);
  for (Index row = 0; row < weight.rows(); ++row) {
    const double loss = OutputLoss(joint.row(row), inputs, kColumns);
    EXPECT_LE(loss, OutputLoss(independent.row(row), inputs, kColumns) * (1 + kStored));
    EXPECT_LE(loss, OutputLoss(daq.row(row), inputs, kColumns) * (1 + kStored));
  }
}

TEST_F(RangeDaqPlusTest, PenaltyFollowsTheTokens) {
  const MatrixF weight = HeavyTailedMatrix(4, kColumns, 0.3, 101);
  const MatrixF inputs = CorrelatedInputs(40, 102);
  const Format format{.codebook = BuiltIn("nf4", false)};
  const RangeResult by_tokens =
      Find("daq_plus", {{"penalty_tokens", 20.0}}, inputs, weight, format);
  const RangeResult fixed =
      Find("daq_plus", {{"penalty", std::string("fixed")}, {"penalty_weight", 0.5}}, inputs, weight,
           format);
  EXPECT_EQ(by_tokens.diagnostics.at("daq_plus.lambda"), 0.5);
  EXPECT_EQ(by_tokens.codes, fixed.codes);
  const MatrixD errors = Errors(fixed, weight, format);
  const double loss = OutputLoss(errors, inputs, kColumns) + 0.5 * Penalty(errors, inputs);
  EXPECT_NEAR(fixed.diagnostics.at("daq_plus.loss_end"), loss, kStored * loss);
  // It pulls towards the weights.
  const MatrixD without =
      Errors(Find("daq_plus", {{"penalty_tokens", 0.0}}, inputs, weight, format), weight, format);
  EXPECT_LT(Penalty(errors, inputs), Penalty(without, inputs));
}

// Every form of the loss against the dense one: full, by differences, with the same codes.
TEST_F(RangeDaqPlusTest, LossWithTermsFollowsItsDefinition) {
  std::mt19937_64 generator(103);
  ThreadPool pool(1);
  for (const Format& format : AllFormats(0)) {
    SCOPED_TRACE(FormatName(format));
    const MatrixF inputs = NormalMatrix(30, 48, 1.0, 104);
    const MatrixF weight = NormalMatrix(1, 48, 0.02, 105);
    const std::span<const float> weights(weight.data(), 48);
    std::vector<double> square(48);
    std::vector<double> linear(48);
    for (std::size_t i = 0; i < 48; ++i) {
      square[i] = 1 + Uniform(&generator);
      linear[i] = 0.01 * Uniform(&generator);
    }
    const LayerStatistics statistics(inputs, &pool);
    const GroupFactors factors(statistics, 48, {}, 48, &pool);
    daq::OutputLoss loss(format.codebook);
    loss.Prepare(weights, factors[0], {.square = square, .linear = linear});
    const DenseSignSearch dense(inputs, weights, format);
    const Encoder encoder(format.codebook);
    const auto expected = [&](const GridPoint& point) {
      std::vector<std::uint8_t> codes(48);
      encoder.Encode(point.scale, point.zero_point, weights, codes);
      double sum = dense.Loss(point);
      for (std::size_t i = 0; i < 48; ++i) {
        const double e =
            (static_cast<double>(format.codebook.values[codes[i]]) - point.zero_point) *
                point.scale -
            static_cast<double>(weights[i]);
        sum += square[i] * e * e + 2 * linear[i] * e;
      }
      return sum;
    };
    GridPoint point = StartOfDaq(weights, format, {});
    loss.MoveTo(point);
    for (int i = 0; i < 200; ++i) {
      const double size = std::pow(10, -1 - 2.5 * (1 + Uniform(&generator)));
      const GridPoint probe{
          .scale = point.scale * (1 + size * Uniform(&generator)),
          .zero_point = format.symmetric ? 0 : point.zero_point + size * Uniform(&generator)};
      // The terms may cancel; the squares alone are some 0.02.
      const double truth = expected(probe);
      EXPECT_NEAR(loss.At(probe, std::numeric_limits<double>::infinity()), truth, 1e-13);
      const double bounded = loss.At(probe, truth / 2);
      if (truth > 0) {
        EXPECT_GT(bounded, truth / 2);
      }
      if (i % 20 == 0) {
        point = probe;
        loss.MoveTo(point);
        EXPECT_NEAR(loss.loss(), truth, 1e-13);
      }
    }
  }
}

TEST_F(RangeDaqPlusTest, CrossTermsFollowTheirDefinition) {
  ThreadPool pool(1);
  std::vector<Index> features(kColumns);
  std::iota(features.rbegin(), features.rend(), 0);
  for (const MatrixF& inputs : SomeInputs()) {
    const LayerStatistics statistics(inputs, &pool);
    const MatrixD x = inputs.rowwise().reverse().cast<double>();
    MatrixD error = NormalMatrix(5, kColumns, 0.01, 106).cast<double>();
    const CrossTerms terms(statistics, kColumns, features, &pool);
    CrossTerms::Tile tile(terms, &error);
    MatrixD linear(5, 16);
    for (const Index first : {0, 32}) {
      MatrixD others = error;
      others.middleCols(first, 16).setZero();
      const MatrixD expected =
          others * x.transpose() * x.middleCols(first, 16) / static_cast<double>(x.rows());
      tile.Linear(first, &linear);
      // Sums of some hundred products below 1.
      EXPECT_LE((linear - expected).cwiseAbs().maxCoeff(), 1e-13);
      tile.Replace(first, NormalMatrix(5, 16, 0.02, 107).cast<double>());
    }
    const MatrixD outputs = error * x.transpose();
    const VectorD losses = tile.Losses();
    for (Index row = 0; row < 5; ++row)
      EXPECT_NEAR(losses[row], outputs.row(row).squaredNorm() / static_cast<double>(x.rows()),
                  1e-13);
  }
}

}  // namespace
}  // namespace daq
