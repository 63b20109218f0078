#pragma once
#include <algorithm>

#include "base/matrix.h"
#include "base/work.h"

namespace daq {

// How large quantising a layer is: what parts forecast their work from.
struct LayerSize {
  Index out_features = 0;
  Index in_features = 0;
  Index group_length = 0;
  Index codes = 0;
  Index tokens = 0;               // of the calibration; 0: none
  bool is_first_of_input = true;  // for it, what is kept with the statistics is made

  double weights() const {
    return static_cast<double>(out_features) * static_cast<double>(in_features);
  }
  double groups() const { return weights() / static_cast<double>(group_length); }
  // Independent directions of `features` inputs that the tokens can show.
  double rank(Index features) const { return static_cast<double>(std::min(tokens, features)); }
};

// Bytes that a part needs beside a layer's weights and its result.
struct Footprint {
  double kept = 0;     // with the statistics of the layer's input, for other layers and recipes
  double scratch = 0;  // while the layer is worked on
};

}  // namespace daq
