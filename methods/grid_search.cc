#include "methods/grid_search.h"

#include <cmath>
#include <cstdint>
#include <random>

#include "methods/density_center.h"
#include "methods/minmax_grid.h"

namespace daq {
namespace {

// Sizes of local steps: log-uniform between these.
constexpr double kLargestStep = 0.05;
constexpr double kSmallestStep = 1e-4;

// Uniform in [0, 1), from the generator's bits: std's distributions differ between libraries.
double Uniform(std::mt19937_64* generator) {
  return static_cast<double>((*generator)() >> 11) * 0x1p-53;
}

// Point i of `count` equally spaced ones, ends included.
double Spaced(double first, double last, Index i, Index count) {
  if (count == 1) return (first + last) / 2;
  return first + (last - first) * static_cast<double>(i) / static_cast<double>(count - 1);
}

double HalfRange(const Codebook& book) {
  return (static_cast<double>(book.last()) - static_cast<double>(book.first())) / 2;
}

}  // namespace

GridSearch::GridSearch(const GridSearchOptions& options, const Format& format)
    : options_(options), format_(format) {
  std::mt19937_64 generator(1);
  for (Index i = 0; i < options.local_steps; ++i) {
    const double size = kLargestStep * std::pow(kSmallestStep / kLargestStep, Uniform(&generator));
    const double scale = size * (2 * Uniform(&generator) - 1);
    const double zero_point = size * (2 * Uniform(&generator) - 1);
    steps_.push_back({.scale = scale, .zero_point = zero_point});
  }
}

void GridSearch::TryGrid(std::span<const float> weights, OutputLoss* loss) const {
  const WeightInterval interval = IntervalOf(weights);
  const GroupGrid widest =
      LayGrid(interval, {.round_zero_point = false, .include_zero = false}, format_);
  const double half_width =
      (static_cast<double>(interval.highest) - static_cast<double>(interval.lowest)) / 2;
  const double center = format_.symmetric ? 0 : DenseCenter(weights, {});
  const double middle = (static_cast<double>(format_.codebook.first()) +
                         static_cast<double>(format_.codebook.last())) /
                        2;
  const Index zero_points = format_.symmetric ? 1 : options_.zero_points;
  GridPoint best = loss->point();
  double best_loss = loss->loss();
  for (Index i = 0; i < options_.scales; ++i) {
    const double scale = static_cast<double>(widest.scale) *
                         Spaced(options_.lowest_scale, options_.highest_scale, i, options_.scales);
    for (Index k = 0; k < zero_points; ++k) {
      const double at =
          center + half_width * Spaced(-options_.center_span, options_.center_span, k, zero_points);
      const GridPoint point{.scale = scale,
                            .zero_point = format_.symmetric ? 0 : middle - at / scale};
      const double found = loss->At(point, best_loss);
      if (found < best_loss) {
        best_loss = found;
        best = point;
      }
    }
  }
  if (!(best == loss->point())) loss->MoveTo(best);
}

void GridSearch::TrySteps(OutputLoss* loss) const {
  const double half_range = HalfRange(format_.codebook);
  for (const Step& step : steps_) {
    const GridPoint& at = loss->point();
    const GridPoint point{
        .scale = at.scale * (1 + step.scale),
        .zero_point = format_.symmetric ? 0 : at.zero_point + half_range * step.zero_point};
    if (loss->At(point, loss->loss()) < loss->loss()) loss->MoveTo(point);
  }
}

void GridSearch::Improve(std::span<const float> weights, OutputLoss* loss) const {
  const GridPoint start = loss->point();
  const double start_loss = loss->loss();
  TryGrid(weights, loss);
  TrySteps(loss);
  // A loss is computed in several ways, whose roundings differ: what was better by less than that
  // may have been no better.
  if (loss->loss() > start_loss) loss->MoveTo(start);
}

}  // namespace daq
