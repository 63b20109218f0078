#pragma once
#include <algorithm>

#include "base/matrix.h"

namespace daq {

// How large quantising a layer is, for forecasts of time. Parts answer in operations: a second of
// one thread counts as many as a float32 matrix product would do in it, so that a forecast holds
// for machines of different speed.
struct LayerWork {
  Index out_features = 0;
  Index in_features = 0;
  Index group_length = 0;
  Index codes = 0;
  Index tokens = 0;  // of the calibration; 0: none

  double weights() const {
    return static_cast<double>(out_features) * static_cast<double>(in_features);
  }
  double groups() const { return weights() / static_cast<double>(group_length); }
  // Independent directions of `features` inputs that the tokens can show.
  double rank(Index features) const { return static_cast<double>(std::min(tokens, features)); }
};

// A part's work that was measured in nanoseconds of one thread beside products at 74 GFLOP/s (an
// AMD EPYC core with AVX2).
constexpr double OperationsOf(double nanoseconds) { return 74 * nanoseconds; }

}  // namespace daq
