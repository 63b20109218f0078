#pragma once
#include <string>

#include "methods/recipe.h"

namespace daq {

// The lines of `plan --explain` below a recipe's label: method, transform, range and rounding with
// every setting (its value, who chose it, what it means, where the default is from), and the
// format.
std::string ExplainRecipe(const Recipe& recipe);

}  // namespace daq
