#pragma once
#include "methods/layer_statistics.h"
#include "methods/range.h"

namespace daq {

// The coordinates that a transform moved a layer to: column c of the weight was multiplied by
// column_factor[c], row r divided by row_divisor[r]. Empty: not at all.
struct LayerCoordinates {
  VectorF column_factor = {};
  VectorF row_divisor = {};
};

// The squared error, summed over tokens and outputs, that plain round-to-nearest (preset rtn) of
// the layer's own `weight` makes, seen in the given coordinates: what a recipe's output error is
// compared with. `layer.statistics` are of the inputs in those coordinates (divided by
// column_factor). Kept with the statistics, so recipes of one format share it.
double RtnSquaredOutputError(const ConstMatrixView& weight, const Format& format,
                             const LayerCoordinates& coordinates, const LayerContext& layer);

}  // namespace daq
