#pragma once
#include <memory>

#include "methods/layer_report.h"
#include "methods/range.h"
#include "methods/recipe.h"
#include "methods/rounding.h"
#include "methods/transform.h"

namespace daq {

// The parts of a recipe, made once and used for all layers, by one thread at a time (each shares
// out its own work).
struct RecipeParts {
  std::unique_ptr<Transform> transform;
  std::unique_ptr<Range> range;
  std::unique_ptr<Rounding> rounding;

  // True if any part needs calibration data.
  bool needs_statistics() const {
    return transform->needs_statistics() || range->needs_statistics() ||
           rounding->needs_statistics();
  }
};

// The parts of a recipe that is not full precision; names are registered, settings complete.
// Throws InputError if the range cannot serve the format.
RecipeParts MakeParts(const Recipe& recipe);

struct QuantizedLayer {
  QuantizedMatrix matrix;
  LayerReport report;
};

// Quantises one layer, [out_features, in_features], by the range and rounding of `parts`; the
// transform works on whole blocks and was applied before. Throws InputError, naming the layer, for
// a weight that is not finite, an empty layer, or a group size that does not divide in_features.
// Deterministic for any thread count.
QuantizedLayer QuantizeLayer(const RecipeParts& parts, const Format& format,
                             const ConstMatrixView& weight, const LayerContext& layer);

}  // namespace daq
