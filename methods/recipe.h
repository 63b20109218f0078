#pragma once
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "methods/format.h"
#include "methods/settings.h"

namespace daq {

// One of a recipe's three algorithmic parts: a registered name with its complete settings.
struct PartChoice {
  std::string name;
  Settings settings;

  bool operator==(const PartChoice&) const = default;
};

// Which inputs a block's layers are calibrated on.
enum class Propagation {
  kFullPrecision,  // those of the full-precision model (AWQ, DAQ)
  kQuantized,      // those behind the blocks quantised so far (GPTQ)
  // Also behind the layers of the same block quantised so far, in the order q k v, o, gate up, down
  // (GPTQ's --true-sequential).
  kQuantizedWithinBlock,
};

// A weight-only quantiser as four independent choices (docs/design.md section 2), or full
// precision.
struct Recipe {
  std::string method;  // the preset's name as the config says it, or "custom" for one spelled out;
                       // "fp16" for none
  bool full_precision = false;  // the checkpoint's own weights; the parts below are then unused
  PartChoice transform;
  PartChoice range;
  PartChoice rounding;
  Format format;
  Propagation propagation = Propagation::kFullPrecision;  // means nothing without calibration

  bool operator==(const Recipe&) const = default;
};

// A method name of the literature and the three parts it stands for; the format is the config's own
// choice. Parts are registered names; the settings listed override the parts' defaults.
struct Preset {
  std::string_view name;     // as written in a config's `method:` key
  std::string_view summary;  // one line
  std::string_view transform;
  Settings transform_settings = {};
  std::string_view range;
  Settings range_settings = {};
  std::string_view rounding;
  Settings rounding_settings = {};
  Propagation propagation = Propagation::kFullPrecision;
  // Whether formats are symmetric where a config does not say; nothing: as is usual for the book.
  std::optional<bool> symmetric = {};
  std::string_view source;  // whose definition this is
};

std::span<const Preset> Presets();
const Preset* FindPreset(std::string_view name);  // nullptr for an unknown name

// A part as a preset has it: the registered part's defaults with `overrides` in their place.
template <typename Entry>
PartChoice ChoosePart(const Entry& entry, const Settings& overrides) {
  PartChoice choice{.name = std::string(entry.name), .settings = DefaultSettings(entry.settings())};
  for (const auto& [name, value] : overrides) choice.settings.insert_or_assign(name, value);
  return choice;
}

// The preset's recipe over a format, every setting filled in.
Recipe MakeRecipe(const Preset& preset, const Format& format);

}  // namespace daq
