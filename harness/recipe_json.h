#pragma once
#include <nlohmann/json.hpp>

#include "methods/recipe.h"

namespace daq {

// A recipe for result files, complete: method, the three parts with every setting, the format, the
// propagation. Keys
// come in a fixed order, settings by name. A built-in code book is its name, a config's own {name,
// values}.
nlohmann::ordered_json ToJson(const Recipe& recipe);

// What of a recipe determines its result, for hashes: ToJson without the method's name, so that
// `rtn` and the same three parts spelled out are one quantiser, and with the propagation only where
// a part reads layer inputs. The name of a config's own code book stays in, because stored results
// carry it. Equal recipes give equal text: doubles are written so that they read back to the same
// bits.
nlohmann::ordered_json RecipeContent(const Recipe& recipe);

}  // namespace daq
