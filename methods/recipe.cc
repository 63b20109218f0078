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
       .summary = "round to nearest, asymmetric min-max range, zero-points real-valued",
       .transform = "none",
       .range = "minmax",
       .range_settings = {{"round_zero_point", false}, {"include_zero", false}},
       .rounding = "nearest",
       .symmetric = false,
       .source =
           "LuoYingSong/DAQ, pseudo_quantize_tensor (zero_point=True unless --no_zero_point)"},
      {.name = "mse",
       .summary = "round to nearest, min-max range shrunk for least weight error",
       .transform = "none",
       .range = "mse",
       .rounding = "nearest",
       .source = "search of IST-DASLab/gptq, quant.py with mse=True, over rtn's range"},
      {.name = "gptq",
       .summary = "error fed forward through the inverse Hessian, min-max range stretched to 0",
       .transform = "none",
       .range = "minmax",
       .range_settings = {{"round_zero_point", true}, {"include_zero", true}},
       .rounding = "gptq",
       .propagation = Propagation::kQuantized,
       .source = "arXiv 2210.17323; IST-DASLab/gptq, gptq.py and llama.py"},
      {.name = "gptq-act-order",
       .summary = "gptq in order of falling activations, each layer behind the quantised ones",
       .transform = "none",
       .range = "minmax",
       .range_settings = {{"round_zero_point", true}, {"include_zero", true}},
       .rounding = "gptq",
       .rounding_settings = {{"act_order", true}},
       .propagation = Propagation::kQuantizedWithinBlock,
       .source = "IST-DASLab/gptq, README's LLaMA command: --true-sequential --act-order"},
      {.name = "awq",
       .summary = "activation-aware scaling, then clipping",
       .transform = "awq_scale",
       .transform_settings = {{"round_zero_point", true}, {"include_zero", false}},
       .range = "clip",
       .range_settings = {{"round_zero_point", true}, {"include_zero", false}},
       .rounding = "nearest",
       .source = "arXiv 2306.00978; llm-awq, auto_scale.py and auto_clip.py"},
      {.name = "awq-daq-release",
       .summary = "awq on asymmetric formats, zero-points real-valued",
       .transform = "awq_scale",
       .transform_settings = {{"round_zero_point", false}, {"include_zero", false}},
       .range = "clip",
       .range_settings = {{"round_zero_point", false}, {"include_zero", false}},
       .rounding = "nearest",
       .symmetric = false,
       .source = "the AWQ baseline of LuoYingSong/DAQ, whose quantiser does not round zero-points"},
      {.name = "daq",
       .summary = "centred on the dense weights, then scale and zero-point learnt from outputs",
       .transform = "none",
       .range = "daq",
       .range_settings = {{"zero_init", "density"}},
       .rounding = "nearest",
       .symmetric = false,
       .source = "arXiv 2410.12187, as the paper describes it"},
      {.name = "daq-release",
       .summary = "daq whose zero-points start at 0, each group searched to its own end",
       .transform = "none",
       .range = "daq",
       .range_settings = {{"zero_init", "zero"}},
       .rounding = "nearest",
       .symmetric = false,
       .source = "LuoYingSong/DAQ 3d3eea9, daq.py"},
      {.name = "awq+daq",
       .summary = "activation-aware scaling without clipping, then daq",
       .transform = "awq_scale",
       .transform_settings = {{"round_zero_point", false}, {"include_zero", false}},
       .range = "daq",
       .range_settings = {{"zero_init", "density"}},
       .rounding = "nearest",
       .symmetric = false,
       .source = "arXiv 2410.12187, DAQ on AWQ"},
      {.name = "gptq+daq",
       .summary = "gptq on the ranges that daq finds beforehand",
       .transform = "none",
       .range = "daq",
       .range_settings = {{"zero_init", "density"}},
       .rounding = "gptq",
       .rounding_settings = {{"static_groups", true}},
       .propagation = Propagation::kQuantized,
       .symmetric = false,
       .source = "this project: DAQ's paper names the combination, its release has no code for it"},
      {.name = "awq+gptq",
       .summary = "activation-aware scaling and clipping, then gptq on those ranges",
       .transform = "awq_scale",
       .transform_settings = {{"round_zero_point", true}, {"include_zero", false}},
       .range = "clip",
       .range_settings = {{"round_zero_point", true}, {"include_zero", false}},
       .rounding = "gptq",
       .rounding_settings = {{"static_groups", true}},
       .propagation = Propagation::kQuantized,
       .source = "this project; the AWQ paper reports AWQ with GPTQ"},
      {.name = "awq+daq+gptq",
       .summary = "activation-aware scaling, then gptq on the ranges that daq finds",
       .transform = "awq_scale",
       .transform_settings = {{"round_zero_point", false}, {"include_zero", false}},
       .range = "daq",
       .range_settings = {{"zero_init", "density"}},
       .rounding = "gptq",
       .rounding_settings = {{"static_groups", true}},
       .propagation = Propagation::kQuantized,
       .symmetric = false,
       .source = "this project"},
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
