#include "base/statistics.h"

#include <cmath>
#include <limits>
#include <vector>

#include "base/error.h"
#include "base/reduce.h"

namespace daq {

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

double Perplexity(std::span<const double> window_losses) { return std::exp(Mean(window_losses)); }

double PerplexityStandardError(std::span<const double> window_losses) {
  return Perplexity(window_losses) * StandardError(window_losses);
}

PairedDifference PerplexityDifference(std::span<const double> a, std::span<const double> b) {
  DAQ_CHECK(a.size() == b.size(), "paired windows");
  const double perplexity_a = Perplexity(a);
  const double perplexity_b = Perplexity(b);
  std::vector<double> linearised(a.size());
  for (std::size_t w = 0; w < a.size(); ++w)
    linearised[w] = perplexity_a * a[w] - perplexity_b * b[w];
  return {.value = perplexity_a - perplexity_b, .standard_error = StandardError(linearised)};
}

}  // namespace daq
