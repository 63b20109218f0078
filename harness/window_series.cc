#include "harness/window_series.h"

#include <algorithm>
#include <numeric>

#include "base/bootstrap.h"
#include "base/error.h"
#include "base/statistics.h"
#include "harness/cell_store.h"

namespace daq {

WindowSeries::WindowSeries(const nlohmann::ordered_json& cell)
    : losses_(WindowLossesOf(cell)), weights_(WindowWeightsOf(cell)) {
  const nlohmann::ordered_json& metric = *cell.at("metrics").begin();
  may_have_stopped_ = metric.contains("window_indices");
  if (may_have_stopped_) {
    metric.at("window_indices").get_to(windows_);
  } else {
    windows_.resize(losses_.size());
    std::iota(windows_.begin(), windows_.end(), Index{0});
  }
}

const WindowSeries::Sample& WindowSeries::On(const std::vector<Index>& windows) const {
  const auto [found, is_new] = samples_.try_emplace(windows);
  Sample& sample = found->second;
  if (!is_new) return sample;
  auto own = windows_.begin();
  for (const Index window : windows) {
    own = std::lower_bound(own, windows_.end(), window);
    DAQ_CHECK(own != windows_.end() && *own == window, "a window that the series has");
    const auto place = static_cast<std::size_t>(own - windows_.begin());
    sample.losses.push_back(losses_[place]);
    if (!weights_.empty()) sample.weights.push_back(weights_[place]);
  }
  sample.perplexity = Perplexity(sample.losses, sample.weights);
  sample.draws =
      BootstrapPerplexities({sample.losses}, UsualBlockWindows(static_cast<Index>(windows.size())),
                            sample.weights)
          .front();
  return sample;
}

const std::vector<Index>& CommonWindows(const WindowSeries& a, const WindowSeries& b) {
  return a.count() <= b.count() ? a.windows() : b.windows();
}

}  // namespace daq
