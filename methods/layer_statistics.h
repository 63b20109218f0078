#pragma once
#include "base/matrix.h"

namespace daq {

// What is known of one linear layer's inputs on the calibration windows. Shared by all recipes.
struct LayerStatistics {
  MatrixF inputs;  // [tokens, in_features], the rows of all windows in order
};

}  // namespace daq
