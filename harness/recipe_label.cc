#include "harness/recipe_label.h"

#include <fmt/format.h>

#include "base/error.h"
#include "harness/propagation.h"
#include "methods/quantize_layer.h"
#include "methods/registry.h"

namespace daq {
namespace {

template <typename Part>
const PartEntry<Part>& Entry(std::span<const PartEntry<Part>> entries, const PartChoice& choice) {
  const PartEntry<Part>* entry = FindPart(entries, choice.name);
  DAQ_CHECK(entry != nullptr, "a recipe's parts are registered");
  return *entry;
}

// Appends "name=value" for each setting of `choice` that is not what the method's name stands for.
template <typename Part>
void AppendChanges(const PartEntry<Part>& entry, const PartChoice& choice,
                   const Settings& of_preset, std::string* to) {
  Settings usual = DefaultSettings(entry.settings());
  for (const auto& [name, value] : of_preset) usual[name] = value;
  for (const auto& [name, value] : choice.settings) {
    if (usual.at(name) != value)
      to->append(fmt::format("{}{}={}", to->empty() ? "" : ", ", name, ToString(value)));
  }
}

}  // namespace

std::string MethodLabel(const Recipe& recipe) {
  if (recipe.full_precision) return recipe.method;
  const Preset* preset = FindPreset(recipe.method);
  std::string changes;
  const Preset none = {};
  const Preset& named = preset ? *preset : none;
  AppendChanges(Entry(Transforms(), recipe.transform), recipe.transform, named.transform_settings,
                &changes);
  AppendChanges(Entry(Ranges(), recipe.range), recipe.range, named.range_settings, &changes);
  AppendChanges(Entry(Roundings(), recipe.rounding), recipe.rounding, named.rounding_settings,
                &changes);
  const Propagation usual = preset ? preset->propagation : Recipe{}.propagation;
  // To parts that read no layer inputs it makes no difference.
  if (recipe.propagation != usual && NeedsCalibration(recipe)) {
    changes.append(fmt::format("{}propagate={}", changes.empty() ? "" : ", ",
                               PropagationName(recipe.propagation)));
  }
  const std::string name = preset ? recipe.method
                                  : fmt::format("{}+{}+{}", recipe.transform.name,
                                                recipe.range.name, recipe.rounding.name);
  return changes.empty() ? name : fmt::format("{} ({})", name, changes);
}

std::string RecipeLabel(const Recipe& recipe) {
  if (recipe.full_precision) return recipe.method;
  return fmt::format("{} {} {}", MethodLabel(recipe), FormatName(recipe.format),
                     GranularityName(recipe.format));
}

bool NeedsCalibration(const Recipe& recipe) {
  return !recipe.full_precision && MakeParts(recipe).needs_statistics();
}

}  // namespace daq
