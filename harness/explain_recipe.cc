#include "harness/explain_recipe.h"

#include <fmt/format.h>

#include "base/error.h"
#include "harness/config_schema.h"
#include "harness/propagation.h"
#include "harness/recipe_config.h"
#include "harness/recipe_label.h"
#include "harness/wrapped_text.h"
#include "methods/quantize_layer.h"
#include "methods/registry.h"

namespace daq {
namespace {

std::string Heading(std::string_view name) { return fmt::format("     {:<16}", name); }

// Who chose a value. A config that writes out what would hold anyway is not told from one that does
// not.
std::string_view ChosenBy(const SettingSpec& spec, const SettingValue& value,
                          const Settings& of_preset) {
  const auto preset = of_preset.find(spec.name);
  if (preset != of_preset.end() && preset->second == value) return "method";
  if (preset == of_preset.end() && spec.default_value == value) return "default";
  return "config";
}

template <typename Part>
std::string ExplainPart(std::string_view title, std::span<const PartEntry<Part>> entries,
                        const PartChoice& choice, const Settings& of_preset) {
  const PartEntry<Part>* entry = FindPart(entries, choice.name);
  DAQ_CHECK(entry != nullptr, "a recipe's parts are registered");
  std::string text =
      WrappedText(Heading(title), fmt::format("{}: {}", entry->name, entry->summary));
  std::vector<std::string_view> idle;
  for (const SettingSpec& spec : entry->settings()) {
    if (UnmetCondition(spec, entry->settings(), choice.settings) != nullptr) {
      idle.push_back(spec.name);
      continue;
    }
    const SettingValue& value = choice.settings.at(std::string(spec.name));
    text.append(
        WrappedText(Heading("") + "- ",
                    fmt::format("{} = {} ({}): {}. Source: {}", spec.name, ToString(value),
                                ChosenBy(spec, value, of_preset), spec.meaning, spec.source)));
  }
  if (!idle.empty()) {
    text.append(WrappedText(Heading("") + "- ",
                            fmt::format("of no effect here: {}", fmt::join(idle, ", "))));
  }
  return text;
}

std::string ExplainCodebook(const Format& format) {
  std::string_view summary = "a book of this config";
  std::string_view source = "config";
  for (const CodebookInfo& info : Codebooks()) {
    if (info.name != format.codebook.name) continue;
    summary = info.summary;
    source = info.source;
  }
  std::string text = WrappedText(
      Heading("format"), fmt::format("{}: {}, {} bits a code. Source: {}", format.codebook.name,
                                     summary, format.codebook.bits, source));
  if (format.codebook.integer) {
    return text.append(WrappedText(Heading("") + "- ",
                                   fmt::format("values = the integers from {} to {}",
                                               format.codebook.first(), format.codebook.last())));
  }
  return text.append(WrappedText(
      Heading("") + "- ", fmt::format("values = {}", fmt::join(format.codebook.values, " "))));
}

// As ChosenBy: the preset's choice goes before the code book's usual one.
std::string_view SymmetryChosenBy(const Format& format, std::optional<bool> of_preset) {
  if (format.symmetric != of_preset.value_or(SymmetricByDefault(format.codebook.name)))
    return "config";
  return of_preset ? "method" : "default";
}

std::string ExplainFormat(const Format& format, std::optional<bool> symmetric_of_preset) {
  std::string text = ExplainCodebook(format);
  text.append(WrappedText(
      Heading("") + "- ",
      fmt::format("group = {} ({}): {}",
                  format.group_size == 0 ? "channel" : std::to_string(format.group_size),
                  format.group_size == 0 ? "default" : "config",
                  MeaningOf("recipes.format.group"))));
  return text.append(
      WrappedText(Heading("") + "- ", fmt::format("symmetric = {} ({}): {}", format.symmetric,
                                                  SymmetryChosenBy(format, symmetric_of_preset),
                                                  MeaningOf("recipes.format.symmetric"))));
}

std::string ExplainPropagation(const Recipe& recipe, Propagation of_preset) {
  const std::string_view chosen_by = recipe.propagation != of_preset     ? "config"
                                     : of_preset == Recipe{}.propagation ? "default"
                                                                         : "method";
  return WrappedText(
      Heading("propagate"),
      fmt::format("{} ({}): {}{}", PropagationName(recipe.propagation), chosen_by,
                  MeaningOf("recipes.propagate"),
                  NeedsCalibration(recipe) ? "" : ". No part of this recipe reads layer inputs"));
}

}  // namespace

std::string ExplainRecipe(const Recipe& recipe) {
  if (recipe.full_precision) {
    return WrappedText(Heading("method"), "fp16: the checkpoint's own weights, nothing quantised");
  }
  const Preset* preset = FindPreset(recipe.method);
  const std::string method =
      preset ? fmt::format("{}: {}. Source: {}", preset->name, preset->summary, preset->source)
             : "custom: the three parts as this config spells them out";
  std::string text = WrappedText(Heading("method"), method);
  const Preset none = {};
  const Preset& usual = preset ? *preset : none;
  text.append(ExplainPart("transform", Transforms(), recipe.transform, usual.transform_settings));
  text.append(ExplainPart("range", Ranges(), recipe.range, usual.range_settings));
  text.append(
      WrappedText(Heading("") + "- ", "so: " + MakeParts(recipe).range->Explain(recipe.format)));
  text.append(ExplainPart("rounding", Roundings(), recipe.rounding, usual.rounding_settings));
  text.append(ExplainPropagation(recipe, usual.propagation));
  return text.append(ExplainFormat(recipe.format, usual.symmetric));
}

}  // namespace daq
