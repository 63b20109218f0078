#pragma once
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace daq {

// A key that a config may hold. The readers take the keys they know, `sweep:` the paths it accepts,
// and `plan --explain` the meanings from this table; a test holds configs/README.md to it. So a new
// key is a row here, the line that reads it, and its paragraph there. The settings of transforms,
// ranges and roundings are not rows: they come from the registry of methods.
struct ConfigKey {
  std::string_view path;  // "evaluate.window_tokens": list items have no part of their own
  bool sweepable;         // may stand under `sweep:`
  std::string_view meaning;
};

std::span<const ConfigKey> ConfigKeys();

// The last parts of the keys directly below `parent` ("" for the top), in the table's order.
std::vector<std::string_view> KeysBelow(std::string_view parent);

// What the key of that path means.
std::string_view MeaningOf(std::string_view path);

// Every path that may stand under `sweep:`: the sweepable keys and "recipes.range.<setting>"
// (transform, rounding likewise) for every setting that a registered part has.
std::vector<std::string> SweepPaths();

}  // namespace daq
