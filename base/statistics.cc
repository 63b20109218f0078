#include "base/statistics.h"

#include <cmath>
#include <limits>
#include <vector>

#include "base/error.h"
#include "base/reduce.h"

namespace daq {
namespace {

// Values whose standard error of the mean is that of the weighted mean, to first order: of a ratio
// of means, each window's share of what moves it.
std::vector<double> Linearised(std::span<const double> values, std::span<const double> weights) {
  std::vector<double> result(values.begin(), values.end());
  if (weights.empty()) return result;
  const double mean = MeanLoss(values, weights);
  const double usual = Mean(weights);
  for (std::size_t i = 0; i < result.size(); ++i)
    result[i] = weights[i] / usual * (values[i] - mean);
  return result;
}

}  // namespace

double Mean(std::span<const double> values) {
  DAQ_CHECK(!values.empty(), "a mean needs values");
  return Sum(values) / static_cast<double>(values.size());
}

double StandardError(std::span<const double> values) {
  if (values.size() < 2) return std::numeric_limits<double>::quiet_NaN();
  const double mean = Mean(values);
  const double squares = LaneSum(
      values.size(), [&](std::size_t i) { return (values[i] - mean) * (values[i] - mean); });
  const auto count = static_cast<double>(values.size());
  return std::sqrt(squares / (count - 1) / count);
}

double MeanLoss(std::span<const double> window_losses, std::span<const double> weights) {
  if (weights.empty()) return Mean(window_losses);
  DAQ_CHECK(weights.size() == window_losses.size(), "a weight for each window");
  return LaneSum(weights.size(), [&](std::size_t i) { return weights[i] * window_losses[i]; }) /
         Sum(weights);
}

double Perplexity(std::span<const double> window_losses, std::span<const double> weights) {
  return std::exp(MeanLoss(window_losses, weights));
}

double PerplexityStandardError(std::span<const double> window_losses,
                               std::span<const double> weights) {
  return Perplexity(window_losses, weights) * StandardError(Linearised(window_losses, weights));
}

PairedDifference PerplexityDifference(std::span<const double> a, std::span<const double> b,
                                      std::span<const double> weights) {
  DAQ_CHECK(a.size() == b.size(), "paired windows");
  const double perplexity_a = Perplexity(a, weights);
  const double perplexity_b = Perplexity(b, weights);
  const std::vector<double> of_a = Linearised(a, weights);
  const std::vector<double> of_b = Linearised(b, weights);
  std::vector<double> linearised(a.size());
  for (std::size_t w = 0; w < a.size(); ++w)
    linearised[w] = perplexity_a * of_a[w] - perplexity_b * of_b[w];
  return {.value = perplexity_a - perplexity_b, .standard_error = StandardError(linearised)};
}

}  // namespace daq
