#include "base/bootstrap.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/error.h"
#include "base/python_random.h"

namespace daq {

Index UsualBlockWindows(Index windows) {
  DAQ_CHECK(windows >= 1, "a window");
  Index block = 1;  // in whole numbers: no cube root that falls just below one
  while ((block + 1) * (block + 1) * (block + 1) <= windows) ++block;
  return block;
}

bool HasInterval(Index windows, Index block_windows) {
  DAQ_CHECK(block_windows >= 1, "a block has a window");
  return windows >= kLeastBlocks * block_windows;
}

std::vector<std::vector<double>> BootstrapPerplexities(
    const std::vector<std::vector<double>>& series, Index block_windows,
    const std::vector<double>& weights) {
  std::vector<std::vector<double>> perplexities(series.size());
  if (series.empty()) return perplexities;
  const std::size_t windows = series.front().size();
  for (const std::vector<double>& losses : series)
    DAQ_CHECK(losses.size() == windows, "series of the same windows");
  DAQ_CHECK(weights.empty() || weights.size() == windows, "a weight for each window");
  if (!HasInterval(static_cast<Index>(windows), block_windows)) return perplexities;

  const auto block = static_cast<std::size_t>(block_windows);
  PythonRandom random(kBootstrapSeed);
  std::vector<std::size_t> drawn(windows);
  for (int draw = 0; draw < kBootstrapDraws; ++draw) {
    std::size_t window = 0;
    for (std::size_t i = 0; i < windows; ++i) {
      window =
          i % block == 0
              ? static_cast<std::size_t>(random.RandInt(0, static_cast<std::int64_t>(windows) - 1))
              : (window + 1) % windows;
      drawn[i] = window;
    }
    for (std::size_t s = 0; s < series.size(); ++s) {
      double sum = 0;
      double weight = 0;
      for (const std::size_t i : drawn) {
        const double own = weights.empty() ? 1 : weights[i];
        sum += own * series[s][i];
        weight += own;
      }
      perplexities[s].push_back(std::exp(sum / weight));
    }
  }
  return perplexities;
}

Interval PercentileInterval(std::vector<double> values) {
  if (values.empty()) return {};
  DAQ_CHECK(values.size() == kBootstrapDraws, "a value a draw");
  constexpr std::ptrdiff_t kTail = (kBootstrapDraws - 1) / 40;
  static_assert(40 * kTail + 1 == kBootstrapDraws);
  std::sort(values.begin(), values.end());
  return {.low = values[kTail], .high = values[kBootstrapDraws - 1 - kTail]};
}

Interval DifferenceInterval(std::span<const double> a, std::span<const double> b) {
  DAQ_CHECK(a.size() == b.size(), "paired draws");
  std::vector<double> differences(a.size());
  for (std::size_t draw = 0; draw < a.size(); ++draw) {
    differences[draw] = a[draw] - b[draw];
    // Two perplexities beyond every double have no difference.
    if (std::isnan(differences[draw])) return {};
  }
  return PercentileInterval(std::move(differences));
}

}  // namespace daq
