// The min-max range shrunk towards 0 by the factor that leaves the least weight error, as GPTQ's
// `mse` option does.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <memory>

#include "base/reduce.h"
#include "methods/encode.h"
#include "methods/group_search.h"
#include "methods/minmax_grid.h"
#include "methods/power.h"
#include "methods/range.h"
#include "methods/shrink_factors.h"

namespace daq {
namespace {

// A grid is given up once its sum has reached the best one's; looked at after so many weights.
constexpr std::size_t kPiece = 1024;
// Powers are taken in blocks of a fixed length, so that the compiler makes vector code of them.
constexpr std::size_t kBlock = 32;

// sum of |w' - w|^norm over a group, in units of its largest |w|, so that no power under- or
// overflows.
class ErrorSum {
 public:
  ErrorSum(std::span<const float> weights, float unit, float norm)
      : weights_(weights),
        per_unit_(1.0F / std::max(unit, std::numeric_limits<float>::min())),
        norm_(norm) {}

  // The sum for a grid, or any number >= bound once the sum has reached it: terms are not negative.
  double Of(const GroupGrid& grid, const Encoder& encoder, double bound) const {
    double sum = 0;
    std::array<float, kPiece> nearest;
    for (std::size_t begin = 0; begin < weights_.size() && sum < bound; begin += kPiece) {
      const std::span<const float> piece =
          weights_.subspan(begin, std::min(kPiece, weights_.size() - begin));
      encoder.RoundToNearest(static_cast<double>(grid.scale), static_cast<double>(grid.zero_point),
                             piece, std::span(nearest).first(piece.size()));
      sum += SumOfPowers(piece, nearest);
    }
    return sum;
  }

 private:
  double SumOfPowers(std::span<const float> weights, std::span<const float> nearest) const {
    double sum = 0;
    for (std::size_t begin = 0; begin < weights.size(); begin += kBlock) {
      const std::size_t count = std::min(kBlock, weights.size() - begin);
      std::array<float, kBlock> power{};  // what lies behind the end has no error
      for (std::size_t i = 0; i < count; ++i)
        power[i] = std::abs(nearest[begin + i] - weights[begin + i]) * per_unit_;
      if (norm_ == 2.0F) {
        for (float& error : power) error *= error;
      } else {
        RaiseToPower(norm_, &power);
      }
      sum += Sum(std::span<const float>(power));
    }
    return sum;
  }

  std::span<const float> weights_;
  float per_unit_;
  float norm_;
};

class Mse final : public Range {
 public:
  explicit Mse(const Settings& settings)
      : rules_(ReadGridRules(settings)),
        factors_{.points = GetInt(settings, "grid_points"),
                 .max_shrink = GetDouble(settings, "max_shrink")},
        norm_(static_cast<float>(GetDouble(settings, "norm"))) {}

  void CheckFormat(const Format& format) const override { CheckGridFormat(format); }

  Work Cost(const LayerSize& size) const override {
    return static_cast<double>(factors_.count()) * size.weights() * Nanoseconds(2);
  }

  std::string Explain(const Format& format) const override {
    return fmt::format("{} factors from 1 down to {:.4g}; {}", factors_.count(),
                       factors_.At(factors_.count() - 1), ExplainGrid(rules_, format));
  }

  bool needs_statistics() const override { return false; }

  RangeResult Find(const ConstMatrixView& weight, const Format& format,
                   const LayerContext& layer) const override {
    const Encoder encoder(format.codebook);
    const auto find = [&](std::span<const float> group) {
      return FindGroup(group, format, encoder);
    };
    return {.grid = FindEachGroup(weight, format, layer, HasIntegerZeroPoint(rules_, format), find),
            .codes = {}};
  }

 private:
  // The factors are tried from 1 down and only a smaller sum replaces the best, so ties keep the
  // wider range.
  GroupGrid FindGroup(std::span<const float> weights, const Format& format,
                      const Encoder& encoder) const {
    const WeightInterval interval = IntervalOf(weights);
    GroupGrid best = LayGrid(interval, rules_, format);
    const float unit = std::max(std::abs(interval.lowest), std::abs(interval.highest));
    // No error to weigh, or no finite grid: the caller refuses that.
    if (unit == 0.0F || !std::isfinite(best.scale)) return best;
    const ErrorSum error(weights, unit, norm_);
    double best_sum = error.Of(best, encoder, std::numeric_limits<double>::infinity());
    for (std::int64_t i = 1; i < factors_.count() && best_sum > 0; ++i) {
      const auto factor = static_cast<float>(factors_.At(i));
      const GroupGrid shrunk =
          LayGrid({factor * interval.lowest, factor * interval.highest}, rules_, format);
      const double sum = error.Of(shrunk, encoder, best_sum);
      if (sum < best_sum) {
        best_sum = sum;
        best = shrunk;
      }
    }
    return best;
  }

  GridRules rules_;
  ShrinkFactors factors_;
  float norm_;
};

}  // namespace

std::span<const SettingSpec> MseSettings();
std::unique_ptr<Range> MakeMse(const Settings& settings);

std::span<const SettingSpec> MseSettings() {
  static const std::array<SettingSpec, kGridRuleCount> rules = GridRuleSpecs();
  static const std::array<SettingSpec, 5> specs = {
      rules[0], rules[1],
      SettingSpec{
          .name = "grid_points",
          .default_value = std::int64_t{100},
          .lowest = 1,
          .highest = 10000,
          .meaning = "shrink factors are 1 - i / grid_points: more points, finer and slower search",
          .source = "GPTQ quant.py, grid=100"},
      SettingSpec{.name = "max_shrink",
                  .default_value = 0.8,
                  .lowest = 0,
                  .highest = 1,
                  .meaning = "how far to shrink: i runs to max_shrink * grid_points, that not "
                             "included; 0 = min-max",
                  .source = "GPTQ quant.py, maxshrink=.8"},
      SettingSpec{
          .name = "norm",
          .default_value = 2.4,
          .lowest = 1,
          .highest = 10,
          .meaning = "the sum of |w' - w|^norm is minimised: a higher norm clips outliers less",
          .source = "GPTQ quant.py, norm=2.4"}};
  return specs;
}

std::unique_ptr<Range> MakeMse(const Settings& settings) { return std::make_unique<Mse>(settings); }

}  // namespace daq
