#include "methods/output_loss.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "base/blas.h"
#include "base/thread_pool.h"
#include "methods/layer_statistics.h"
#include "tests/methods/dense_sign_search.h"
#include "tests/methods/matrices.h"

namespace daq {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

struct Group {
  std::string name;
  MatrixF inputs;
  MatrixF weight;  // one row
};

// 128 weights and fewer have sums in float, too; 160 have none.
std::vector<Group> Groups() {
  std::vector<Group> groups;
  for (const Index length : {32, 128, 160}) {
    groups.push_back({"normal " + std::to_string(length), NormalMatrix(80, length, 1.0, 11),
                      NormalMatrix(1, length, 0.02, 12)});
  }
  groups.push_back(
      {"heavy tails", HeavyTailedMatrix(200, 128, 3.0, 13), HeavyTailedMatrix(1, 128, 0.3, 14)});
  groups.push_back({"inputs alike", MatrixF::Ones(40, 64) + NormalMatrix(40, 64, 1e-3, 15),
                    NormalMatrix(1, 64, 0.02, 16)});
  for (const float magnitude : {1e-30F, 1e30F}) {
    groups.push_back({"weights of " + std::to_string(magnitude), NormalMatrix(80, 64, 1.0, 17),
                      NormalMatrix(1, 64, 1.0, 18) * magnitude});
  }
  groups.push_back({"an outlier", NormalMatrix(80, 64, 1.0, 19), NormalMatrix(1, 64, 0.02, 20)});
  groups.back().weight(0, 9) = 1e6F;
  return groups;
}

class OutputLossTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { SetUpBlas(); }

  // Calls body(loss, dense, weights, format) for every group and format.
  template <typename Body>
  static void ForEach(const Body& body) {
    for (const Group& group : Groups()) {
      ThreadPool pool(1);
      const LayerStatistics statistics(group.inputs, &pool);
      std::vector<Index> features(static_cast<std::size_t>(group.weight.cols()));
      std::iota(features.begin(), features.end(), Index{0});
      const InputFactor factor = FactorInputs(statistics, features, &pool);
      const std::span<const float> weights(group.weight.data(), features.size());
      for (const Format& format : AllFormats(0)) {
        SCOPED_TRACE(group.name + " " + FormatName(format));
        OutputLoss loss(format.codebook);
        loss.Prepare(weights, factor);
        body(&loss, DenseSignSearch(group.inputs, weights, format), weights, format);
      }
    }
  }

  // A point whose grid covers the weights.
  static GridPoint Start(std::span<const float> weights, const Format& format) {
    const auto [low, high] = std::minmax_element(weights.begin(), weights.end());
    const std::vector<float>& values = format.codebook.values;
    const double scale = (static_cast<double>(*high) - static_cast<double>(*low)) /
                         static_cast<double>(values.back() - values.front());
    return {.scale = scale,
            .zero_point = static_cast<double>(values.front()) - static_cast<double>(*low) / scale};
  }

  // From `point` on, by up to `size` of a scale and of the values' range.
  static GridPoint Near(const GridPoint& point, const Format& format, double size,
                        std::mt19937_64* random) {
    const auto range =
        static_cast<double>(format.codebook.values.back() - format.codebook.values.front());
    return {.scale = point.scale * std::exp(size * Uniform(random)),
            .zero_point = point.zero_point + size * Uniform(random) * range / 8};
  }
};

// Each of a dense loss's outputs is a sum of 160 products at most, in both in another order: 1e-12
// of the outputs' size, as in DenseResult::uncertainty, far above 160 roundings of 1.1e-16. What
// the grid's ends amount to can be that much more than the outputs: 10 times, with the outlier's
// grid.
TEST_F(OutputLossTest, IsTheDenseLossAndIsBrokenOffOnlyAboveTheBound) {
  ForEach([](OutputLoss* loss, const DenseSignSearch& dense, std::span<const float> weights,
             const Format& format) {
    std::mt19937_64 random(5);
    const GridPoint start = Start(weights, format);
    loss->MoveTo(start);
    const double zero_loss = dense.Loss({.scale = start.scale * 1e-3, .zero_point = 0});
    for (const double size : {1e-4, 1e-2, 0.3}) {
      for (int i = 0; i < 12; ++i) {
        const GridPoint point = Near(start, format, size, &random);
        const double exact = loss->At(point, kInfinity);
        EXPECT_NEAR(exact, dense.Loss(point), 1e-11 * std::sqrt(exact * (zero_loss + exact)));
        EXPECT_EQ(loss->At(point, exact), exact);
        const double below = std::nextafter(exact, 0.0);
        EXPECT_GT(loss->At(point, below), below);
        EXPECT_GT(loss->At(point, 0.5 * exact), 0.5 * exact);
      }
    }
  });
}

// Steps that few weights follow change the sums of codes instead of adding them up anew: 1000 of
// them with a rounding of 1.1e-16 each, all to one side, and some room.
TEST_F(OutputLossTest, ManyMovesEndWhereOneDoes) {
  ForEach([](OutputLoss* loss, const DenseSignSearch& dense, std::span<const float> weights,
             const Format& format) {
    std::mt19937_64 random(6);
    GridPoint point = Start(weights, format);
    const double zero_loss = dense.Loss({.scale = point.scale * 1e-3, .zero_point = 0});
    loss->MoveTo(point);
    for (int i = 0; i < 1000; ++i) {
      point = Near(Start(weights, format), format, i % 10 == 0 ? 0.1 : 2e-3, &random);
      const double seen = loss->At(point, kInfinity);
      loss->MoveTo(point);
      EXPECT_NEAR(loss->loss(), seen, 1e-12 * std::sqrt(seen * (zero_loss + seen)));
    }
    EXPECT_NEAR(loss->loss(), dense.Loss(point),
                1e-11 * std::sqrt(loss->loss() * (zero_loss + loss->loss())));
  });
}

}  // namespace
}  // namespace daq
