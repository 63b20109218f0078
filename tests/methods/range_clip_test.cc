#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "base/blas.h"
#include "methods/quantize_layer.h"
#include "methods/range.h"
#include "methods/registry.h"
#include "tests/methods/authors_quantizer.h"
#include "tests/methods/matrices.h"
#include "tests/support/input_error.h"

namespace daq {
namespace {

class ClipRangeTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { SetUpBlas(); }
};

std::unique_ptr<Range> MakeClipWith(const Settings& overrides) {
  const PartEntry<Range>& entry = *FindPart(Ranges(), "clip");
  return entry.make(ChoosePart(entry, overrides).settings);
}

RangeResult FindClip(const MatrixF& weight, const Format& format, const LayerStatistics& statistics,
                     const Settings& overrides = {}, std::string name = "model.layers.0.mlp.down",
                     std::span<const Index> columns = {}, int threads = 1) {
  ThreadPool pool(threads);
  return MakeClipWith(overrides)->Find(
      weight, format,
      {.name = std::move(name), .statistics = &statistics, .pool = &pool, .columns = columns});
}

MatrixF Restore(const RangeResult& result, const MatrixF& weight, const Format& format) {
  const QuantizedMatrix matrix =
      Pack(format, weight.rows(), weight.cols(), result.codes, result.grid);
  MatrixF restored(weight.rows(), weight.cols());
  Dequantize(matrix, restored);
  return restored;
}

// Inputs as a layer behind a norm has them: a few channels far larger than the others, and all
// tokens sharing a direction.
MatrixF Activations(Index tokens, Index features, std::uint64_t seed) {
  MatrixF inputs = NormalMatrix(tokens, features, 1.0, seed);
  const MatrixF common = NormalMatrix(1, features, 0.5, seed + 1);
  inputs.rowwise() += common.row(0);
  inputs.col(3) *= 20.0F;
  inputs.col(features - 2) *= 8.0F;
  inputs.col(7).setZero();
  return inputs;
}

// The error of every factor of llm-awq's auto_clip_layer on one group, in double.
std::vector<double> PlainErrors(const MatrixF& weight, Index row, Index begin, Index length,
                                const MatrixF& inputs, const Format& format) {
  std::vector<double> errors;
  float largest = 0;
  for (Index c = begin; c < begin + length; ++c)
    largest = std::max(largest, std::abs(weight(row, c)));
  for (int i = 0; i < 10; ++i) {
    const float limit = largest * static_cast<float>(1.0 - i / 20.0);
    std::vector<float> clamped;
    for (Index c = begin; c < begin + length; ++c)
      clamped.push_back(std::clamp(weight(row, c), -limit, limit));
    const std::vector<float> rounded = PseudoQuantize(clamped, format);
    double sum = 0;
    for (Index token = 0; token < inputs.rows(); ++token) {
      double before = 0;
      double after = 0;
      for (Index c = begin; c < begin + length; ++c) {
        const auto x = static_cast<double>(inputs(token, c));
        before += x * static_cast<double>(weight(row, c));
        after += x * static_cast<double>(rounded[static_cast<std::size_t>(c - begin)]);
      }
      sum += (after - before) * (after - before);
    }
    errors.push_back(sum / static_cast<double>(inputs.rows()));
  }
  return errors;
}

// Holds `result` to the literal search: the loss of what was chosen is the least of all factors'.
// 1e-5: a float32 product of at most 128 terms is off by 128 * 2^-24 = 8e-6 of its terms' size at
// worst. Returns how many groups were clipped.
int ExpectLeastErrors(const RangeResult& result, const MatrixF& weight, const MatrixF& inputs,
                      const Format& format) {
  const MatrixF restored = Restore(result, weight, format);
  const Index length = GroupLength(format, weight.cols());
  int clipped = 0;
  double start = 0;
  double end = 0;
  for (Index row = 0; row < weight.rows(); ++row) {
    for (Index group = 0; group < weight.cols() / length; ++group) {
      const std::vector<double> errors =
          PlainErrors(weight, row, group * length, length, inputs, format);
      const double least = *std::min_element(errors.begin(), errors.end());
      const MatrixD difference =
          (restored.cast<double>() - weight.cast<double>()).block(row, group * length, 1, length);
      const double found =
          (inputs.cast<double>().middleCols(group * length, length) * difference.transpose())
              .squaredNorm() /
          static_cast<double>(inputs.rows());
      EXPECT_NEAR(found, least, 1e-5 * least) << "row " << row << " group " << group;
      clipped += least < errors[0] ? 1 : 0;
      start += errors[0];
      end += least;
    }
  }
  const auto groups = static_cast<double>(result.grid.scale.size());
  EXPECT_NEAR(result.diagnostics.at("clip.loss_start"), start / groups, 1e-5 * start / groups);
  EXPECT_NEAR(result.diagnostics.at("clip.loss_end"), end / groups, 1e-5 * end / groups);
  return clipped;
}

TEST_F(ClipRangeTest, FindsTheLeastErrorOfThePlainSearch) {
  const MatrixF weight = NormalMatrix(40, 128, 0.02, 51);
  // 60 tokens: fewer than a channel's 128 columns and more than a group's 32, so that both forms of
  // the error are used.
  const MatrixF inputs = Activations(60, 128, 52);
  const LayerStatistics statistics = StatisticsOf(inputs);
  for (const Index group_size : {0, 32, 64}) {
    for (const Format& format : AuthorsFormats(group_size)) {
      SCOPED_TRACE(FormatName(format) + " " + GranularityName(format));
      const RangeResult result = FindClip(weight, format, statistics);
      const int clipped = ExpectLeastErrors(result, weight, inputs, format);
      if (format.codebook.bits <= 4) {
        EXPECT_GT(clipped, 4);
      }
      EXPECT_EQ(result.diagnostics.at("clip.shrink") < 1, clipped > 0);
    }
  }
}

// A group clipped on both sides has z = -lo / s = 7.5 but for rounding, and its ends lie between
// two codes. Then the authors' rounding of the float32 quotient decides, and it must decide here
// too: with the plain nearest code many groups would differ by far more than rounding.
TEST_F(ClipRangeTest, EndsBetweenTwoCodesGoWhereTheAuthorsRoundThem) {
  MatrixF weight = NormalMatrix(200, 32, 0.02, 53);
  weight.col(3) = VectorF::LinSpaced(200, 0.1F, 0.3F);
  weight.col(9) = -VectorF::LinSpaced(200, 0.13F, 0.2F);
  const MatrixF inputs = NormalMatrix(40, 32, 1.0, 54);
  const Format format{.codebook = BuiltIn("int4", false)};
  const RangeResult result = FindClip(weight, format, StatisticsOf(inputs));
  EXPECT_GT(ExpectLeastErrors(result, weight, inputs, format), 100);
  // Both of the zero-points that 7.5 rounds to occur.
  EXPECT_GT((result.grid.zero_point.array() == 7).count(), 5);
  EXPECT_GT((result.grid.zero_point.array() == 8).count(), 5);
}

TEST_F(ClipRangeTest, TheLossIsOfTheTokenSample) {
  // 1100 tokens: every second one is looked at. The others would change everything.
  MatrixF inputs = Activations(1100, 32, 55);
  MatrixF sample(550, 32);
  for (Index token = 0; token < 1100; token += 2) sample.row(token / 2) = inputs.row(token);
  for (Index token = 1; token < 1100; token += 2) inputs.row(token).setConstant(1000.0F);
  const MatrixF weight = NormalMatrix(8, 32, 0.02, 56);
  const Format format{.codebook = BuiltIn("int3", false)};
  ExpectLeastErrors(FindClip(weight, format, StatisticsOf(inputs)), weight, sample, format);
}

TEST_F(ClipRangeTest, QueryAndKeyKeepTheMinMaxRange) {
  const MatrixF weight = HeavyTailedMatrix(8, 64, 0.3, 57);
  const LayerStatistics statistics = StatisticsOf(Activations(40, 64, 58));
  const Format format{.codebook = BuiltIn("int3", false), .group_size = 32};
  ThreadPool pool(1);
  const PartEntry<Range>& minmax = *FindPart(Ranges(), "minmax");
  const Grid plain = minmax.make(ChoosePart(minmax, {}).settings)
                         ->Find(weight, format, {.name = "test", .pool = &pool})
                         .grid;
  for (const std::string layer : {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj"}) {
    const bool skipped = layer == "q_proj" || layer == "k_proj";
    const std::string name = "model.layers.0.self_attn." + layer;
    const RangeResult found = FindClip(weight, format, statistics, {}, name);
    EXPECT_EQ(found.grid.scale == plain.scale, skipped) << layer;
    EXPECT_EQ(found.diagnostics.empty(), skipped) << layer;
    EXPECT_NE(FindClip(weight, format, statistics, {{"skip_query_key", false}}, name).grid.scale,
              plain.scale);
  }
  EXPECT_EQ(FindClip(weight, format, statistics, {{"max_shrink", 0.0}}).grid.scale, plain.scale);
}

TEST_F(ClipRangeTest, ColumnsSayWhichInputsAWeightBelongsTo) {
  const MatrixF inputs = Activations(40, 64, 59);
  const MatrixF weight = NormalMatrix(8, 64, 0.02, 60);
  const LayerStatistics statistics = StatisticsOf(inputs);
  const Format format{.codebook = BuiltIn("int3", false), .group_size = 32};
  // In reversed order.
  std::vector<Index> order(64);
  std::iota(order.begin(), order.end(), 0);
  std::reverse(order.begin(), order.end());
  const MatrixF reversed = weight.rowwise().reverse();
  const RangeResult found = FindClip(reversed, format, statistics, {}, "layer", order);
  ExpectLeastErrors(found, reversed, inputs.rowwise().reverse(), format);
  // Only the second group.
  const std::vector<Index> second(order.rbegin() + 32, order.rend());
  const RangeResult part = FindClip(weight.rightCols(32), format, statistics, {}, "layer", second);
  EXPECT_EQ(part.grid.scale, FindClip(weight, format, statistics).grid.scale.rightCols(1));
}

TEST_F(ClipRangeTest, WithoutActivationsNothingIsClipped) {
  const MatrixF weight = HeavyTailedMatrix(8, 64, 0.3, 61);
  const LayerStatistics statistics = StatisticsOf(MatrixF::Zero(40, 64));
  const Format format{.codebook = BuiltIn("int4", false), .group_size = 32};
  const Diagnostics diagnostics = FindClip(weight, format, statistics).diagnostics;
  EXPECT_EQ(diagnostics,
            (Diagnostics{{"clip.loss_end", 0}, {"clip.loss_start", 0}, {"clip.shrink", 1}}));
}

TEST_F(ClipRangeTest, ManyFactorsAreTriedInSeveralProducts) {
  const MatrixF weight = NormalMatrix(8, 64, 0.02, 62);
  const LayerStatistics statistics = StatisticsOf(Activations(40, 64, 63));
  const Format format{.codebook = BuiltIn("int3", false), .group_size = 32};
  const auto loss = [&](std::int64_t points) {
    return FindClip(weight, format, statistics, {{"grid_points", points}})
        .diagnostics.at("clip.loss_end");
  };
  EXPECT_LT(loss(20), loss(2));
  EXPECT_LT(loss(200), loss(20));  // the 10 factors of 20 are among the 100
}

TEST_F(ClipRangeTest, AGridBeyondFloat32IsRefusedByName) {
  MatrixF weight = MatrixF::Constant(2, 4, 3e38F);
  weight(1, 0) = -3e38F;
  const LayerStatistics statistics = StatisticsOf(MatrixF::Ones(4, 4));
  EXPECT_EQ(
      InputErrorOf(
          "",
          [&] { FindClip(weight, {.codebook = BuiltIn("int2", false)}, statistics, {}, "layer"); }),
      "layer: weight[1]: expected weights whose int2 grid fits in float32, found scale "
      "2e+38, zero-point 2");
}

TEST_F(ClipRangeTest, TheSameBitsForAnyThreadCount) {
  const MatrixF weight = NormalMatrix(70, 96, 0.02, 64);
  const LayerStatistics statistics = StatisticsOf(Activations(40, 96, 65));
  for (const Index group_size : {0, 32}) {
    const Format format{.codebook = BuiltIn("int4", false), .group_size = group_size};
    const RangeResult one = FindClip(weight, format, statistics, {}, "layer", {}, 1);
    const RangeResult three = FindClip(weight, format, statistics, {}, "layer", {}, 3);
    EXPECT_EQ(one.codes, three.codes);
    EXPECT_EQ(one.grid.scale, three.grid.scale);
    EXPECT_EQ(one.diagnostics, three.diagnostics);
  }
}

TEST_F(ClipRangeTest, ExplainsItsSearch) {
  EXPECT_EQ(MakeClipWith({})->Explain({.codebook = BuiltIn("int4", false)}),
            "10 factors from 1 down to 0.55, q_proj and k_proj not clipped; range as the weights "
            "lie; zero-point rounded and clamped to 0 .. 15, 4 bits");
}

}  // namespace
}  // namespace daq
