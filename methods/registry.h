#pragma once
#include <memory>
#include <span>
#include <string_view>

#include "methods/settings.h"

namespace daq {

class Transform;
class Range;
class Rounding;

// One implementation of a part: what a config may name, what it may set, and how to make it.
template <typename Part>
struct PartEntry {
  std::string_view name;
  std::string_view summary;
  std::span<const SettingSpec> (*settings)();
  std::unique_ptr<Part> (*make)(const Settings& settings);  // settings are complete and checked
};

// The explicit tables of registry.cc, in the order in which docs and tests list them.
std::span<const PartEntry<Transform>> Transforms();
std::span<const PartEntry<Range>> Ranges();
std::span<const PartEntry<Rounding>> Roundings();

// The entry of that name, or nullptr; the caller knows the file and line to blame.
template <typename Part>
const PartEntry<Part>* FindPart(std::span<const PartEntry<Part>> entries, std::string_view name) {
  for (const PartEntry<Part>& entry : entries) {
    if (entry.name == name) return &entry;
  }
  return nullptr;
}

}  // namespace daq
