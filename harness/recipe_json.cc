#include "harness/recipe_json.h"

#include <variant>

#include "harness/propagation.h"
#include "harness/recipe_label.h"

namespace daq {
namespace {

using Json = nlohmann::ordered_json;

Json PartJson(const PartChoice& part) {
  Json settings = Json::object();
  for (const auto& [name, value] : part.settings) {
    std::visit([&json = settings[name]](const auto& held) { json = held; }, value);
  }
  return {{"name", part.name}, {"settings", settings}};
}

Json CodebookJson(const Codebook& codebook) {
  if (IsBuiltIn(codebook)) return codebook.name;
  return {{"name", codebook.name}, {"values", codebook.values}};
}

Json FormatJson(const Format& format) {
  return {{"codebook", CodebookJson(format.codebook)},
          {"symmetric", format.symmetric},
          {"group_size", format.group_size}};
}

}  // namespace

Json ToJson(const Recipe& recipe) {
  Json json = {{"method", recipe.method}};
  json.update(RecipeContent(recipe));
  if (!recipe.full_precision) json["propagate"] = PropagationName(recipe.propagation);
  return json;
}

Json RecipeContent(const Recipe& recipe) {
  if (recipe.full_precision) return {{"full_precision", true}};
  Json json = {{"full_precision", false},
               {"transform", PartJson(recipe.transform)},
               {"range", PartJson(recipe.range)},
               {"rounding", PartJson(recipe.rounding)},
               {"format", FormatJson(recipe.format)}};
  if (NeedsCalibration(recipe)) json["propagate"] = PropagationName(recipe.propagation);
  return json;
}

}  // namespace daq
