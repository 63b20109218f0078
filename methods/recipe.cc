#include "methods/recipe.h"

#include <vector>

#include "base/error.h"
#include "methods/registry.h"

namespace daq {
namespace {

template <typename Part>
PartChoice ChooseByName(std::span<const PartEntry<Part>> entries, std::string_view name,
                        const Settings& overrides) {
  const PartEntry<Part>* entry = FindPart(entries, name);
  DAQ_CHECK(entry != nullptr, name);
  return ChoosePart(*entry, overrides);
}

}  // namespace

std::span<const Preset> Presets() {
  static const std::vector<Preset> presets = {
      {.name = "rtn",
       .summary = "round to nearest, min-max range, integer zero-points rounded",
       .transform = "none",
       .range = "minmax",
       .range_settings = {{"round_zero_point", true}, {"include_zero", false}},
       .rounding = "nearest",
       .source = "llm-awq, pseudo_quantize_tensor"},
      {.name = "rtn-gptq",
       .summary = "round to nearest, min-max range stretched to contain 0",
       .transform = "none",
       .range = "minmax",
       .range_settings = {{"round_zero_point", true}, {"include_zero", true}},
       .rounding = "nearest",
       .source = "IST-DASLab/gptq, quant.py and --nearest"},
      {.name = "rtn-daq",
       .summary = "round to nearest, min-max range, zero-points real-valued",
       .transform = "none",
       .range = "minmax",
       .range_settings = {{"round_zero_point", false}, {"include_zero", false}},
       .rounding = "nearest",
       .source = "LuoYingSong/DAQ, pseudo_quantize_tensor"},
      {.name = "mse",
       .summary = "round to nearest, min-max range shrunk for least weight error",
       .transform = "none",
       .range = "mse",
       .rounding = "nearest",
       .source = "search of IST-DASLab/gptq, quant.py with mse=True, over rtn's range"},
  };
  return presets;
}

const Preset* FindPreset(std::string_view name) {
  for (const Preset& preset : Presets()) {
    if (preset.name == name) return &preset;
  }
  return nullptr;
}

Recipe MakeRecipe(const Preset& preset, const Format& format) {
  return {.method = std::string(preset.name),
          .full_precision = false,
          .transform = ChooseByName(Transforms(), preset.transform, preset.transform_settings),
          .range = ChooseByName(Ranges(), preset.range, preset.range_settings),
          .rounding = ChooseByName(Roundings(), preset.rounding, preset.rounding_settings),
          .format = format,
          .propagation = preset.propagation};
}

}  // namespace daq
