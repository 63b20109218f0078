#pragma once
#include <optional>
#include <string_view>

#include "harness/yaml_value.h"
#include "methods/recipe.h"

namespace daq {

// An item of `recipes:` with every default filled in: `fp16`, {method: PRESET, format: ...} with
// settings that override the preset's, or spelled out as {transform, range, rounding, format}; both
// may have `propagate`, and `calibration`, which is left to the caller.
// Throws InputError for anything else, and if the range cannot serve the format.
Recipe ReadRecipe(const YamlValue& value);

// `format:` of a recipe: a code book's name, or {codebook, group, symmetric}.
// usually_symmetric: what holds where it does not say, if the method has a rule of its own; else
// the code book's.
Format ReadFormat(const YamlValue& value, std::optional<bool> usually_symmetric = {});

// What holds for a code book of that name where neither config nor method says; any other name is a
// book of the config's own.
bool SymmetricByDefault(std::string_view codebook);

// A name that can stand in tables, file names and CSV: 1 to 64 letters, digits and . _ + -.
std::string ReadLabel(const YamlValue& value);

}  // namespace daq
