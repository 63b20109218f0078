#pragma once
#include <span>
#include <string_view>

#include "methods/recipe.h"

namespace daq {

// The words of `propagate:` in configs and results.
std::span<const std::string_view> PropagationNames();
std::string_view PropagationName(Propagation propagation);
Propagation PropagationOf(std::string_view name);  // one of PropagationNames()

}  // namespace daq
