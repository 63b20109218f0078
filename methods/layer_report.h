#pragma once
#include <optional>
#include <string>

#include "methods/range.h"

namespace daq {

// What quantising one layer did, for diagnostics and result files. All means are over the whole
// matrix.
struct LayerReport {
  std::string layer;
  double weight_mse = 0;  // mean (w' - w)^2
  double weight_relative_error =
      0;  // sum (w' - w)^2 / sum w^2; 0 for an all-zero layer that stayed so
  std::optional<double> output_mse =
      {};  // mean over tokens and outputs of (x w' - x w)^2; absent without calibration
  std::optional<double> output_relative_error = {};  // sum (x w' - x w)^2 / sum (x w)^2
  // Squared output error over that of plain round-to-nearest in the same format on the same inputs
  // (rtn_reference.h); absent without calibration.
  std::optional<double> output_error_vs_rtn = {};
  // The same two on inputs that the recipe did not see; absent without held-out windows.
  std::optional<double> held_out_mse = {};
  std::optional<double> held_out_error_vs_rtn = {};
  double bits_per_weight = 0;  // everything stored, divided by out_features * in_features
  double clipped_share =
      0;  // weights outside their group's representable interval, by more than 1e-5 of it
  double code_entropy_bits =
      0;                     // entropy of the codes' distribution: how much of the book is in use
  double lowest_weight = 0;  // extremes of the weights
  double highest_weight = 0;
  double dense_center = 0;  // mean over rows of the midpoint of the 2.5 % and 97.5 % quantiles
  double dense_width = 0;   // mean over rows of their distance (quantiles interpolate linearly)
  double range_center = 0;  // mean over groups of the midpoint of the representable interval
  double range_width = 0;   // mean over groups of its length
  Diagnostics diagnostics = {};  // of the layer's range and rounding

  bool operator==(const LayerReport&) const = default;
};

// Compares a layer with its quantised form. `layer.statistics` may be null. The same bits for any
// number of threads; memory for a few tiles a thread, not for another matrix.
LayerReport ReportLayer(const ConstMatrixView& weight, const QuantizedMatrix& quantized,
                        const LayerContext& layer);

// sum over tokens and outputs of (x w' - x w)^2 on the inputs of `layer.statistics`. The difference
// of the weights is multiplied, not the outputs subtracted: nothing cancels.
double SquaredOutputError(const ConstMatrixView& weight, const QuantizedMatrix& quantized,
                          const LayerContext& layer);

}  // namespace daq
