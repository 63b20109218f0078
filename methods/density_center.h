#pragma once
#include <span>

#include "base/matrix.h"

namespace daq {

// How the centre of the dense region of a group's weights is estimated: DAQ's rule and those its
// authors tried (docs/daq.md).
enum class CenterRule { kNone, kMean, kMedian, kQuantile, kHistogram, kKde };

struct CenterOptions {
  CenterRule rule = CenterRule::kQuantile;
  double lower_quantile = 0.025;     // kQuantile: with 1 - lower_quantile on the other side
  Index histogram_bins = 80;         // kHistogram
  double histogram_fraction = 0.95;  // kHistogram: of the weights, that the window must hold
  bool kde_scott = false;            // kKde: bandwidth by Scott's rule, not kde_bandwidth
  double kde_bandwidth = 0.1;        // kKde: standard deviation of the kernel, in weight units
  Index kde_points = 1000;           // kKde: where the density is computed, >= 2
  bool kde_mean = false;             // kKde: mean of the points weighted by density, not its peak
};

// The centre of the dense region; 0 for kNone. `weights` is not empty and finite.
//   kMean       sum / count, in double
//   kMedian     the quantile 1/2 (linear interpolation, as all quantiles here)
//   kQuantile   (Q(lower_quantile) + Q(1 - lower_quantile)) / 2
//   kHistogram  equal bins over [min, max]; from the fullest bin (the first of equals) the window
//               grows bin by bin to the side whose next bin is fuller (right where equal) until it
//               holds the fraction of the weights; its midpoint. As the DAQ release's
//               init_zp_scale.
//   kKde        sum of Gaussians at equally spaced points over [min, max], ends included; the point
//               of the highest density (the first of equals), or the mean weighted by density.
//               Scott's rule: count^(-1/5) * standard deviation with count - 1, as scipy's
//               gaussian_kde. The exponential is base/exp.h's, to float32.
double DenseCenter(std::span<const float> weights, const CenterOptions& options);

}  // namespace daq
