#include "methods/density_center.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <vector>

#include "base/error.h"
#include "base/exp.h"
#include "base/reduce.h"
#include "methods/minmax_grid.h"
#include "methods/quantile.h"

namespace daq {
namespace {

constexpr std::size_t kBlock = 64;

double Mean(std::span<const float> weights) {
  return Sum(weights) / static_cast<double>(weights.size());
}

double Quantiles(std::span<const float> weights, double lower) {
  std::vector<float> scratch(weights.begin(), weights.end());
  const double low = Quantile(scratch, lower);
  return (low + Quantile(scratch, 1 - lower)) / 2;
}

struct Interval {
  double lowest;
  double length;
};

Interval LengthOf(std::span<const float> weights) {
  const WeightInterval interval = IntervalOf(weights);
  const auto lowest = static_cast<double>(interval.lowest);
  return {.lowest = lowest, .length = static_cast<double>(interval.highest) - lowest};
}

double HistogramWindow(std::span<const float> weights, const CenterOptions& options) {
  const Interval interval = LengthOf(weights);
  if (interval.length == 0) return interval.lowest;
  const auto bins = static_cast<std::size_t>(options.histogram_bins);
  std::vector<Index> count(bins);
  for (const float weight : weights) {
    const double position = (static_cast<double>(weight) - interval.lowest) / interval.length;
    const auto bin = static_cast<std::size_t>(position * static_cast<double>(bins));
    ++count[std::min(bin, bins - 1)];  // the largest weight belongs to the last bin
  }
  const auto mode =
      static_cast<std::size_t>(std::max_element(count.begin(), count.end()) - count.begin());
  std::size_t first = mode;
  std::size_t end = mode + 1;
  double held = static_cast<double>(count[mode]);
  const double enough = options.histogram_fraction * static_cast<double>(weights.size());
  while (held < enough && end - first < bins) {
    const Index left = first > 0 ? count[first - 1] : -1;
    const Index right = end < bins ? count[end] : -1;
    held += static_cast<double>(std::max(left, right));
    if (left > right) {
      --first;
    } else {
      ++end;
    }
  }
  return interval.lowest +
         interval.length * static_cast<double>(first + end) / (2 * static_cast<double>(bins));
}

double ScottBandwidth(std::span<const float> weights) {
  const double mean = Mean(weights);
  const double squares = LaneSum(weights.size(), [&](std::size_t i) {
    const double distance = static_cast<double>(weights[i]) - mean;
    return distance * distance;
  });
  const auto count = static_cast<double>(weights.size());
  return std::pow(count, -0.2) * std::sqrt(squares / (count - 1));
}

// sum of exp(-(x - w)^2 / 2 h^2) over the weights w.
double Density(std::span<const float> weights, double x, double bandwidth) {
  const double per_bandwidth = 1 / bandwidth;
  double sum = 0;
  for (std::size_t begin = 0; begin < weights.size(); begin += kBlock) {
    const std::size_t count = std::min(kBlock, weights.size() - begin);
    std::array<float, kBlock> exponent;
    exponent.fill(-1e4F);  // what lies behind the end adds nothing
    for (std::size_t i = 0; i < count; ++i) {
      const double distance = (static_cast<double>(weights[begin + i]) - x) * per_bandwidth;
      // Below e^-87 there is nothing in float32: 1e4 stands for all larger ones.
      exponent[i] = static_cast<float>(-std::min(0.5 * distance * distance, 1e4));
    }
    for (float& value : exponent) value = Exp(value);
    sum += Sum(std::span<const float>(exponent));
  }
  return sum;
}

double KernelDensity(std::span<const float> weights, const CenterOptions& options) {
  const Interval interval = LengthOf(weights);
  if (interval.length == 0) return interval.lowest;
  const double bandwidth = options.kde_scott ? ScottBandwidth(weights) : options.kde_bandwidth;
  const auto points = static_cast<std::size_t>(options.kde_points);
  const double step = interval.length / static_cast<double>(points - 1);
  std::vector<double> density(points);
  for (std::size_t i = 0; i < points; ++i) {
    density[i] = Density(weights, interval.lowest + step * static_cast<double>(i), bandwidth);
  }
  double position = 0;
  if (options.kde_mean) {
    const double moment =
        LaneSum(points, [&](std::size_t i) { return static_cast<double>(i) * density[i]; });
    position = moment / Sum(density);  // the first point lies on a weight: not 0
  } else {
    position =
        static_cast<double>(std::max_element(density.begin(), density.end()) - density.begin());
  }
  return interval.lowest + step * position;
}

}  // namespace

double DenseCenter(std::span<const float> weights, const CenterOptions& options) {
  DAQ_CHECK(!weights.empty(), "weights to find the centre of");
  switch (options.rule) {
    case CenterRule::kNone:
      return 0;
    case CenterRule::kMean:
      return Mean(weights);
    case CenterRule::kMedian:
      return Quantiles(weights, 0.5);
    case CenterRule::kQuantile:
      return Quantiles(weights, options.lower_quantile);
    case CenterRule::kHistogram:
      return HistogramWindow(weights, options);
    case CenterRule::kKde:
      return KernelDensity(weights, options);
  }
  DAQ_CHECK(false, "every rule has its estimator");
  return 0;
}

}  // namespace daq
