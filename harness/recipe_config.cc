#include "harness/recipe_config.h"

#include <fmt/format.h>

#include <utility>

#include "harness/config_schema.h"
#include "harness/nearest_name.h"
#include "harness/propagation.h"
#include "methods/quantize_layer.h"
#include "methods/registry.h"

namespace daq {
namespace {

constexpr std::string_view kFullPrecision = "fp16";

Recipe FullPrecision() {
  Recipe recipe;
  recipe.method = kFullPrecision;
  recipe.full_precision = true;
  return recipe;
}

std::vector<std::string_view> MethodNames() {
  std::vector<std::string_view> names = {kFullPrecision};
  for (const Preset& preset : Presets()) names.push_back(preset.name);
  return names;
}

template <typename Part>
std::vector<std::string_view> PartNames(std::span<const PartEntry<Part>> entries) {
  std::vector<std::string_view> names;
  for (const PartEntry<Part>& entry : entries) names.push_back(entry.name);
  return names;
}

// The value of one setting, as the type that its default has.
SettingValue ReadSetting(const YamlValue& value, const SettingSpec& spec) {
  if (std::holds_alternative<bool>(spec.default_value)) return value.Bool();
  if (std::holds_alternative<std::int64_t>(spec.default_value)) {
    return value.Integer(static_cast<std::int64_t>(spec.lowest),
                         static_cast<std::int64_t>(spec.highest));
  }
  if (std::holds_alternative<double>(spec.default_value))
    return value.Number(spec.lowest, spec.highest);
  return std::string(value.Name(spec.choices));
}

// Overwrites the settings that `map` holds, each of which must have an effect: in a table of two
// recipes that differ in one without, or in a sweep over it, equal rows would look like a finding.
void ReadSettings(YamlMap* map, std::span<const SettingSpec> specs, Settings* settings) {
  for (const SettingSpec& spec : specs) {
    if (const std::optional<YamlValue> value = map->Find(spec.name))
      settings->insert_or_assign(std::string(spec.name), ReadSetting(*value, spec));
  }
  for (const SettingSpec& spec : specs) {
    const std::optional<YamlValue> value = map->Find(spec.name);
    const SettingCondition* unmet = UnmetCondition(spec, specs, *settings);
    if (value && unmet) {
      value->Refuse(fmt::format("no such key, because it has an effect only where {} is {}",
                                unmet->name, OneOf(unmet->values)));
    }
  }
}

std::vector<std::string_view> SettingNames(std::span<const SettingSpec> specs) {
  std::vector<std::string_view> names;
  for (const SettingSpec& spec : specs) names.push_back(spec.name);
  return names;
}

// A part of a spelled-out recipe: NAME or {name: NAME, setting: value, ...}.
template <typename Part>
PartChoice ReadPart(const YamlValue& value, std::span<const PartEntry<Part>> entries) {
  const std::vector<std::string_view> names = PartNames(entries);
  if (!value.IsMap()) return ChoosePart(*FindPart(entries, value.Name(names)), {});
  const std::optional<YamlValue> given = value.Child("name");
  if (!given) throw InputError(value.where(), value.path() + ".name", OneOf(names), "nothing");
  // The name comes before the settings it allows, wherever it stands.
  std::vector<std::string_view> known = {"name"};
  const PartEntry<Part>* entry = FindPart(entries, given->Name(names));
  for (const std::string_view setting : SettingNames(entry->settings())) known.push_back(setting);
  YamlMap map(value, "a name or a map", known);
  PartChoice choice = ChoosePart(*entry, {});
  ReadSettings(&map, entry->settings(), &choice.settings);
  return choice;
}

// Settings of a part that a preset names: the config may change them, but not the part.
template <typename Part>
void OverridePart(YamlMap* map, std::string_view key, std::span<const PartEntry<Part>> entries,
                  const Preset& preset, PartChoice* choice) {
  const std::optional<YamlValue> value = map->Find(key);
  if (!value) return;
  const PartEntry<Part>* entry = FindPart<Part>(entries, choice->name);
  DAQ_CHECK(entry != nullptr, "a preset names registered parts");
  const std::string named =
      fmt::format("method {} names it; for another part leave out method", preset.name);
  const std::string expected = fmt::format("a map of settings of {} ({})", entry->name, named);
  if (!value->IsMap()) value->Refuse(expected);
  if (const auto name = value->Child("name")) name->Refuse(fmt::format("no such key ({})", named));
  if (entry->settings().empty())
    value->Refuse(fmt::format("no such key, because {} has no settings", entry->name));
  YamlMap settings(*value, expected, SettingNames(entry->settings()));
  ReadSettings(&settings, entry->settings(), &choice->settings);
}

void OverrideParts(YamlMap* map, const Preset& preset, Recipe* recipe) {
  OverridePart(map, "transform", Transforms(), preset, &recipe->transform);
  OverridePart(map, "range", Ranges(), preset, &recipe->range);
  OverridePart(map, "rounding", Roundings(), preset, &recipe->rounding);
}

void ReadParts(YamlMap* map, Recipe* recipe) {
  recipe->method = "custom";
  if (!map->Has("range") && !map->Has("rounding"))
    map->Refuse("method, or range and rounding", "none of them");
  recipe->transform = ChoosePart(*FindPart<Transform>(Transforms(), "none"), {});
  if (const std::optional<YamlValue> transform = map->Find("transform")) {
    recipe->transform = ReadPart(*transform, Transforms());
  }
  recipe->range = ReadPart(map->Get("range", OneOf(PartNames(Ranges()))), Ranges());
  recipe->rounding = ReadPart(map->Get("rounding", OneOf(PartNames(Roundings()))), Roundings());
}

// The parts refuse a format they cannot serve, without knowing where the config asks for it.
void CheckParts(const YamlValue& value, const YamlValue& format, const Recipe& recipe) {
  try {
    MakeParts(recipe);
  } catch (const InputError& error) {
    throw InputError(format.where(), fmt::format("{}: {}", value.path(), error.what()));
  }
}

}  // namespace

Recipe ReadRecipe(const YamlValue& value) {
  if (value.IsScalar()) {
    if (value.node().text == kFullPrecision) return FullPrecision();
    value.Refuse("fp16 or a map such as {method: rtn, format: nf4}");
  }
  YamlMap map(value, "fp16 or a map such as {method: rtn, format: nf4}", KeysBelow("recipes"));
  Recipe recipe;
  if (const std::optional<YamlValue> method = map.Find("method")) {
    const std::string_view name = method->Name(MethodNames());
    if (name == kFullPrecision) {
      map.Finish("beside method fp16");
      return FullPrecision();
    }
    recipe = MakeRecipe(*FindPreset(name), {});
    OverrideParts(&map, *FindPreset(name), &recipe);
  } else {
    ReadParts(&map, &recipe);
  }
  const YamlValue format =
      map.Get("format", "a format such as nf4 or {codebook: int4, group: 128}");
  const Preset* preset = FindPreset(recipe.method);
  recipe.format = ReadFormat(format, preset ? preset->symmetric : std::nullopt);
  if (const std::optional<YamlValue> propagate = map.Find("propagate")) {
    recipe.propagation = PropagationOf(propagate->Name(PropagationNames()));
  }
  map.Find("calibration");  // beside the recipe
  map.Finish("in a recipe");
  CheckParts(value, format, recipe);
  return recipe;
}

}  // namespace daq
