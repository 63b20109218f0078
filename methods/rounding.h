#pragma once
#include <span>

#include "methods/range.h"

namespace daq {

// A layer's quantised form and how it came about.
struct RoundingResult {
  QuantizedMatrix matrix;
  Diagnostics diagnostics = {};  // the range's and the rounding's own
};

// Chooses the code of each weight, asking the range for grids when it needs them (GPTQ asks as it
// goes).
class Rounding {
 public:
  virtual ~Rounding() = default;

  virtual bool needs_statistics() const = 0;

  // The diagnostics that a RoundingResult besides the range's may hold; they outlive this object.
  virtual std::span<const DiagnosticSpec> diagnostics() const { return {}; }

  // Rough work and memory of Quantize without the range's, as Range::Cost.
  virtual Work Cost(const LayerSize&) const { return {}; }
  virtual Footprint Memory(const LayerSize&, int /*threads*/) const { return {}; }

  // The quantised form of `weight`, [out_features, in_features], all finite. Deterministic for any
  // thread count. Throws InputError, naming the layer, if the group size does not divide
  // in_features.
  virtual RoundingResult Quantize(const ConstMatrixView& weight, const Range& range,
                                  const Format& format, const LayerContext& layer) const = 0;
};

}  // namespace daq
