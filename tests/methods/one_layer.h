#pragma once
#include "methods/quantize_layer.h"
#include "methods/registry.h"

// One layer through the parts of a recipe, for the tests of roundings.
namespace daq {

// The parts of a preset, with another rounding.
inline RecipeParts PartsWithRounding(std::string_view preset, std::string_view rounding,
                                     const Settings& settings, const Format& format) {
  Recipe recipe = MakeRecipe(*FindPreset(preset), format);
  recipe.rounding = ChoosePart(*FindPart(Roundings(), rounding), settings);
  return MakeParts(recipe);
}

inline QuantizedLayer QuantizeOneLayer(const RecipeParts& parts, const Format& format,
                                       const MatrixF& weight, const LayerStatistics& statistics,
                                       int threads) {
  ThreadPool pool(threads);
  return QuantizeLayer(parts, format, weight,
                       {.name = "layer", .statistics = &statistics, .pool = &pool});
}

}  // namespace daq
