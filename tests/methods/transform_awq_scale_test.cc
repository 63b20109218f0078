#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "base/blas.h"
#include "methods/recipe.h"
#include "methods/registry.h"
#include "tests/methods/authors_quantizer.h"
#include "tests/methods/blocks.h"
#include "tests/support/input_error.h"

namespace daq {
namespace {

class AwqScaleTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { SetUpBlas(); }
};

std::unique_ptr<Transform> MakeWith(const Settings& overrides) {
  const PartEntry<Transform>& entry = *FindPart(Transforms(), "awq_scale");
  return entry.make(ChoosePart(entry, overrides).settings);
}

std::map<std::string, Diagnostics> Apply(TinyBlock* block, const Format& format,
                                         const Settings& overrides = {}, int threads = 1) {
  ThreadPool pool(threads);
  return block->Apply(*MakeWith(overrides), format, &pool);
}

// What group `index` reads, [tokens, features].
MatrixD InputOf(const BlockActivations& a, Index index) {
  switch (index) {
    case 0:
      return a.attention_input;
    case 1:
      return a.output_input;
    case 2:
      return a.mlp_input;
    default:
      return a.down_input;
  }
}

// llm-awq's auto_scale of one group, literally: s and the loss of each of the 20 ratios. Scales and
// grids in float32, outputs in double.
struct PlainSearch {
  std::vector<VectorF> scales;
  std::vector<double> losses;
};

MatrixF Rounded(const MatrixF& weight, const VectorF& s, const Format& format) {
  const Index length = GroupLength(format, weight.cols());
  MatrixF result(weight.rows(), weight.cols());
  for (Index row = 0; row < weight.rows(); ++row) {
    for (Index begin = 0; begin < weight.cols(); begin += length) {
      std::vector<float> group;
      for (Index c = begin; c < begin + length; ++c) group.push_back(weight(row, c) * s[c]);
      group = PseudoQuantize(group, format);
      for (Index c = begin; c < begin + length; ++c)
        result(row, c) = group[static_cast<std::size_t>(c - begin)] / s[c];
    }
  }
  return result;
}

PlainSearch SearchPlainly(const TinyBlock& block, Index index, const Format& format) {
  const TransformGroup& group = block.handed_over.groups[static_cast<std::size_t>(index)];
  const MatrixD input = InputOf(block.original, index).cast<float>().cast<double>();
  PlainSearch search;
  for (int i = 0; i < 20; ++i) {
    VectorF s(input.cols());
    for (Index c = 0; c < s.size(); ++c) {
      double sum = 0;
      for (Index token = 0; token < input.rows(); ++token) sum += std::abs(input(token, c));
      const auto mean = static_cast<float>(sum / static_cast<double>(input.rows()));
      s[c] = std::max(std::pow(mean, static_cast<float>(i / 20.0)), 1e-4F);
    }
    s /= std::sqrt(s.maxCoeff() * s.minCoeff());
    std::vector<MatrixF> weights;
    for (const Index consumer : group.consumers) {
      weights.push_back(
          Rounded(block.handed_over.layers[static_cast<std::size_t>(consumer)].weight, s, format));
    }
    if (group.in_module) {
      search.losses.push_back(block.ModuleError(index, weights));
    } else {
      const MatrixF& weight =
          block.handed_over.layers[static_cast<std::size_t>(group.consumers.front())].weight;
      const MatrixD difference = Linear(input, weights[0]) - Linear(input, weight);
      search.losses.push_back(difference.squaredNorm() / static_cast<double>(difference.size()));
    }
    search.scales.push_back(s);
  }
  return search;
}

// Three times float32's rounding: of the authors' sqrt(max * min), and of s itself.
constexpr float kScaleRounding = 3 * 0x1p-24F;
// Losses differ where a weight lies on the edge between two codes within the rounding of s, and by
// float32 dot products of up to 128 terms.
constexpr double kLossTolerance = 1e-3;

void ExpectPlainSearch(Index tokens, const Format& format) {
  TinyBlock block(tokens, 64, 71);
  const auto diagnostics = Apply(&block, format);
  EXPECT_EQ(diagnostics.size(), 7U);
  for (Index index = 0; index < 4; ++index) {
    SCOPED_TRACE(index);
    const PlainSearch plain = SearchPlainly(block, index, format);
    const auto best = std::min_element(plain.losses.begin(), plain.losses.end());
    const TransformGroup& group = block.block.groups[static_cast<std::size_t>(index)];
    for (const Index consumer : group.consumers) {
      const Diagnostics& found =
          diagnostics.at(block.block.layers[static_cast<std::size_t>(consumer)].name);
      const auto chosen = static_cast<std::size_t>(std::lround(found.at("awq_scale.ratio") * 20));
      if (static_cast<std::ptrdiff_t>(chosen) != best - plain.losses.begin()) {
        EXPECT_NEAR(plain.losses[chosen], *best, kLossTolerance * *best);
      }
      EXPECT_NEAR(found.at("awq_scale.loss"), plain.losses[chosen], kLossTolerance * *best);
      EXPECT_NEAR(found.at("awq_scale.loss_unscaled"), plain.losses[0],
                  kLossTolerance * plain.losses[0]);
      ASSERT_EQ(group.input_divisor.size(), plain.scales[chosen].size());
      EXPECT_LE(
          ((group.input_divisor - plain.scales[chosen]).array() / plain.scales[chosen].array())
              .abs()
              .maxCoeff(),
          kScaleRounding);
    }
  }
}

TEST_F(AwqScaleTest, ChoosesTheRatioOfThePlainSearch) {
  for (const Index group_size : {0, 32}) {
    for (const Format& format : AuthorsFormats(group_size)) {
      SCOPED_TRACE(FormatName(format) + " " + GranularityName(format));
      ExpectPlainSearch(40, format);
    }
  }
}

TEST_F(AwqScaleTest, ChoosesTheSameFromAGramMatrix) {
  // 150 tokens, more than any layer has inputs.
  ExpectPlainSearch(150, {.codebook = BuiltIn("int3", false), .group_size = 32});
}

TEST_F(AwqScaleTest, ScalesAndDividesExactly) {
  TinyBlock block(40, 64, 72);
  const Format format{.codebook = BuiltIn("int3", false), .group_size = 32};
  const auto diagnostics = Apply(&block, format);
  const auto weight = [](const TransformBlock& of, std::size_t layer) {
    return of.layers[layer].weight.array();
  };
  const auto divisor = [&](std::size_t group) {
    return block.block.groups[group].input_divisor.array();
  };
  for (std::size_t group = 0; group < 4; ++group) {
    EXPECT_GT(divisor(group).maxCoeff(), 1.5F) << group;  // something was found to scale
    // Centred on 1: the extremes' product is, but for the rounding of each.
    EXPECT_NEAR(divisor(group).maxCoeff() * divisor(group).minCoeff(), 1.0F, 4 * 0x1p-23F);
  }
  const TransformBlock& before = block.handed_over;
  for (const std::size_t layer : {kQuery, kKey}) {
    EXPECT_TRUE(
        (weight(block.block, layer) == weight(before, layer).rowwise() * divisor(0).transpose())
            .all());
  }
  EXPECT_TRUE((weight(block.block, kValue) ==
               (weight(before, kValue).rowwise() * divisor(0).transpose()).colwise() / divisor(1))
                  .all());
  EXPECT_TRUE(
      (weight(block.block, kDown) == weight(before, kDown).rowwise() * divisor(3).transpose())
          .all());
  EXPECT_TRUE((block.block.norms[0].array() == before.norms[0].array() / divisor(0)).all());
}

TEST_F(AwqScaleTest, GroupsAreSearchedOnTheBlockAsHandedOver) {
  const Format format{.codebook = BuiltIn("int3", false), .group_size = 32};
  TinyBlock all(40, 64, 73);
  Apply(&all, format);
  for (std::size_t group = 0; group < 4; ++group) {
    TinyBlock alone(40, 64, 73);
    for (std::size_t other = 0; other < 4; ++other) {
      if (other == group) continue;
      alone.block.groups[other].producer_norm = -1;
      alone.block.groups[other].producer_layer = -1;
    }
    EXPECT_EQ(Apply(&alone, format).size(), alone.block.groups[group].consumers.size());
    EXPECT_EQ(alone.block.groups[group].input_divisor, all.block.groups[group].input_divisor);
  }
}

TEST_F(AwqScaleTest, AGroupWithoutProducerIsLeftAlone) {
  TinyBlock block(40, 64, 74);
  block.block.groups[1].producer_layer = -1;  // grouped-query attention
  const Format format{.codebook = BuiltIn("int3", false), .group_size = 32};
  const auto diagnostics = Apply(&block, format);
  EXPECT_EQ(diagnostics.count("o_proj"), 0U);
  EXPECT_EQ(block.block.groups[1].input_divisor.size(), 0);
  EXPECT_EQ(block.block.layers[kOutput].weight, block.handed_over.layers[kOutput].weight);
}

TEST_F(AwqScaleTest, ChannelsWithoutActivationGetTheSmallestScale) {
  TinyBlock block(40, 64, 75);
  block.block.norms[0][17] = 0;
  MatrixF inputs = block.original.attention_input.cast<float>();
  inputs.col(17).setZero();
  block.original.attention_input = inputs.cast<double>();
  block.statistics[0] = StatisticsOf(inputs);
  const Format format{.codebook = BuiltIn("int3", false), .group_size = 32};
  const auto diagnostics = Apply(&block, format);
  const VectorF& s = block.block.groups[0].input_divisor;
  EXPECT_TRUE((s.array() > 0).all() && s.allFinite());
  EXPECT_TRUE(block.block.layers[kQuery].weight.allFinite());
  EXPECT_EQ(block.block.norms[0][17], 0);
  const double ratio = diagnostics.at("q_proj").at("awq_scale.ratio");
  EXPECT_GT(ratio, 0);
  EXPECT_EQ(s.minCoeff(), s[17]);
  // 1e-4 before centring, against the largest channel's mean |x|^ratio; a few roundings of float32.
  const double largest = std::pow(block.statistics[0].mean_absolute().maxCoeff(), ratio);
  EXPECT_NEAR(static_cast<double>(s[17]) / static_cast<double>(s.maxCoeff()) * largest, 1e-4,
              1e-4 * 1e-6);
  // No activation at all: every ratio gives the same scale, 1 after centring, and no error.
  TinyBlock dead(40, 64, 76);
  dead.statistics[3] = StatisticsOf(MatrixF::Zero(40, 128));
  EXPECT_EQ(
      Apply(&dead, format).at("down"),
      (Diagnostics{{"awq_scale.ratio", 0}, {"awq_scale.loss", 0}, {"awq_scale.loss_unscaled", 0}}));
  EXPECT_EQ(dead.block.layers[kDown].weight, dead.handed_over.layers[kDown].weight);
}

TEST_F(AwqScaleTest, SettingsReachTheSearch) {
  const Format format{.codebook = BuiltIn("int3", false), .group_size = 32};
  TinyBlock one(40, 64, 77);
  EXPECT_EQ(
      Apply(&one, format, {{"grid_points", std::int64_t{1}}}).at("down").at("awq_scale.ratio"), 0);
  EXPECT_EQ(one.block.layers[kDown].weight, one.handed_over.layers[kDown].weight);
  std::vector<double> losses;
  for (const Settings& settings :
       {Settings{}, Settings{{"round_zero_point", false}}, Settings{{"include_zero", true}}}) {
    TinyBlock block(40, 64, 77);
    if (losses.size() != 1) {  // columns of one sign, for include_zero to matter
      MatrixF& down = block.block.layers[kDown].weight;
      down = down.cwiseAbs().array() + 0.5F;
    }
    losses.push_back(Apply(&block, format, settings).at("down").at("awq_scale.loss_unscaled"));
  }
  EXPECT_NE(losses[0], losses[1]);
  EXPECT_NE(losses[0], losses[2]);
}

TEST_F(AwqScaleTest, WeightsWhoseErrorIsNeverFiniteAreRefusedByName) {
  TinyBlock block(40, 64, 78);
  block.block.layers[kDown].weight.setConstant(3e38F);
  block.block.layers[kDown].weight.col(0).setConstant(-3e38F);
  EXPECT_EQ(InputErrorOf("", [&] { Apply(&block, {.codebook = BuiltIn("int2", false)}); }),
            "down: transform.awq_scale: expected weights and activations whose error fits in "
            "float32, found nan");
}

}  // namespace
}  // namespace daq
