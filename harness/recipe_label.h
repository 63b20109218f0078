#pragma once
#include <string>

#include "methods/recipe.h"

namespace daq {

// How tables name a recipe's method: the preset's name or, spelled out, "none+mse+nearest"; with
// the settings that differ from what that name stands for: "rtn (include_zero=true)".
std::string MethodLabel(const Recipe& recipe);

// The same with the format: "rtn nf4 channel"; "fp16".
std::string RecipeLabel(const Recipe& recipe);

// True if a part of the recipe reads calibration statistics, so that its result depends on the
// calibration text.
bool NeedsCalibration(const Recipe& recipe);

}  // namespace daq
