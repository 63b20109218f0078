#pragma once
#include <optional>
#include <span>
#include <vector>

#include "harness/window_range.h"

namespace daq {

// When an evaluation may end before its last window: a config's evaluate.stop_when.
struct StopRule {
  // The standard error of perplexity minus full precision's on the same windows
  // (PerplexityDifference of base/statistics.h) that is small enough; > 0.
  double loss_vs_fp_stderr = 0;

  bool operator==(const StopRule&) const = default;
};

// After how many windows the rule looks at the losses again: a pass over the weights for each, and
// no more windows than this in vain.
inline constexpr Index kStopStepWindows = 16;

// A standard error of fewer windows is itself too uncertain to be believed: of 32 it is within 25 %
// of the truth nineteen times of twenty (docs/metrics.md).
inline constexpr Index kStopLeastWindows = 32;

// The order in which an evaluation with a rule takes the windows of its text: a shuffle (CPython's
// random.Random(0).shuffle) that only their number decides. The first n of it are drawn
// from the whole text alike, and are the same for every model and recipe.
std::vector<Index> StopOrder(Index windows);

// A range cut at every kStopStepWindows windows of the evaluation.
std::vector<WindowRange> StopSteps(const WindowRange& range);

// How many windows an evaluation of `windows` windows needs, from the losses of a model and of full
// precision on the first of them: the first multiple of kStopStepWindows, kStopLeastWindows or
// more, at which the rule is met; all windows, if they are there and it never is. Nothing: more
// losses are needed. All lists are as long, or the weights (base/statistics.h) empty.
std::optional<Index> StopsAt(const StopRule& rule, Index windows, std::span<const double> losses,
                             std::span<const double> fp_losses, std::span<const double> weights);

}  // namespace daq
