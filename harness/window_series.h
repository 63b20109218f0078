#pragma once
#include <map>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/matrix.h"

namespace daq {

// The losses of one model on windows of a text, and what they come to on fewer of them, drawn by
// the bootstrap: where evaluations could stop early (harness/stop_rule.h), two of them have only
// the windows of the shorter one in common.
class WindowSeries {
 public:
  // Of some windows. Draws are of base/bootstrap.h, in blocks of the windows as they stand in the
  // text.
  struct Sample {
    std::vector<double> losses;
    std::vector<double> weights;  // base/statistics.h; empty: all count the same
    std::vector<double> draws;    // of the perplexity; of few windows none
    double perplexity = 0;
  };

  // Of a finished cell (harness/cell_shape.h).
  explicit WindowSeries(const nlohmann::ordered_json& cell);

  Index count() const { return static_cast<Index>(losses_.size()); }
  bool may_have_stopped() const { return may_have_stopped_; }

  // The text's windows that it has, increasing.
  const std::vector<Index>& windows() const { return windows_; }

  // On some of its windows, increasing; kept, so that asking again costs nothing. Not for several
  // threads at once.
  const Sample& On(const std::vector<Index>& windows) const;

 private:
  std::vector<double> losses_;
  std::vector<double> weights_;
  std::vector<Index> windows_;
  bool may_have_stopped_;
  mutable std::map<std::vector<Index>, Sample> samples_;
};

// The windows of the shorter series, which the longer one must have too: evaluations take windows
// in one order.
const std::vector<Index>& CommonWindows(const WindowSeries& a, const WindowSeries& b);

}  // namespace daq
