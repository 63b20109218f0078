#pragma once
#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "base/matrix.h"
#include "methods/codebook.h"

namespace daq {

// The code of one weight by the thresholds of its grid (Encoder::Thresholds): how many lie below
// it. For roundings that decide weight by weight; the Encoder does the same for many at once.
inline std::size_t CodeAmong(std::span<const float> thresholds, float weight) {
  constexpr std::size_t kMostCounted = 31;  // beyond it a search takes fewer steps
  if (thresholds.size() > kMostCounted) {
    return static_cast<std::size_t>(std::lower_bound(thresholds.begin(), thresholds.end(), weight) -
                                    thresholds.begin());
  }
  std::size_t below = 0;
  for (const float threshold : thresholds) below += weight > threshold ? 1 : 0;
  return below;
}

// Gives weights their nearest code: the one predicate that ranges, roundings and tests share.
//
// With scale s and zero-point z, codes k and k + 1 meet at the threshold t_k = (mid_k - z) * s,
// computed in double (mid_k: the mean of the two code values). A weight's code is the number of
// thresholds below it: w <= t_k means code k or lower. So a tie goes to the lower code exactly, and
// a weight beyond the ends gets the first or last code. Comparing in weight space, not w / s + z in
// code units, makes the outcome independent of how w / s would round.
class Encoder {
 public:
  explicit Encoder(const Codebook& codebook);

  Index codes() const { return static_cast<Index>(values_.size()); }

  // mid_k of every threshold.
  std::span<const double> midpoints() const { return midpoints_; }

  // The codebook.values.size() - 1 thresholds, rounded down to float: for a float w, w <= t_k and w
  // <= rounded t_k say the same. Not decreasing. scale > 0 and finite, zero_point finite.
  void Thresholds(double scale, double zero_point, std::span<float> thresholds) const;

  // codes[i] = code of weights[i], all finite. Same lengths.
  void Encode(double scale, double zero_point, std::span<const float> weights,
              std::span<std::uint8_t> codes) const;

  // nearest[i] = (value of the code of weights[i] - zero_point) * scale, as Dequantize computes it.
  // Same lengths.
  void RoundToNearest(double scale, double zero_point, std::span<const float> weights,
                      std::span<float> nearest) const;

  // What a code stands for: (values[code] - zero_point) * scale in double, rounded once to float.
  float Decode(std::size_t code, double scale, double zero_point) const {
    return static_cast<float>((values_[code] - zero_point) * scale);
  }

 private:
  std::vector<double> values_;
  std::vector<double> midpoints_;
  bool integer_;
};

}  // namespace daq
