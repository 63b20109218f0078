#include "harness/stop_rule.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "base/error.h"
#include "base/python_random.h"
#include "base/statistics.h"

namespace daq {

std::vector<Index> StopOrder(Index windows) {
  std::vector<Index> order(static_cast<std::size_t>(windows));
  std::iota(order.begin(), order.end(), Index{0});
  PythonRandom random(0);
  for (Index last = windows - 1; last > 0; --last) {
    const Index other = random.RandInt(0, last);
    std::swap(order[static_cast<std::size_t>(last)], order[static_cast<std::size_t>(other)]);
  }
  return order;
}

std::vector<WindowRange> StopSteps(const WindowRange& range) {
  std::vector<WindowRange> steps;
  for (Index first = range.first; first < range.end();) {
    const Index end = std::min(range.end(), (first / kStopStepWindows + 1) * kStopStepWindows);
    steps.push_back({.first = first, .count = end - first});
    first = end;
  }
  return steps;
}

std::optional<Index> StopsAt(const StopRule& rule, Index windows, std::span<const double> losses,
                             std::span<const double> fp_losses, std::span<const double> weights) {
  DAQ_CHECK(losses.size() == fp_losses.size(), "losses are of the same windows");
  const auto there = static_cast<Index>(losses.size());
  for (Index count = kStopLeastWindows; count <= std::min(there, windows - 1);
       count += kStopStepWindows) {
    const auto n = static_cast<std::size_t>(count);
    const PairedDifference difference = PerplexityDifference(
        losses.first(n), fp_losses.first(n), weights.empty() ? weights : weights.first(n));
    if (difference.standard_error <= rule.loss_vs_fp_stderr) return count;
  }
  if (there >= windows) return windows;
  return std::nullopt;
}

}  // namespace daq
