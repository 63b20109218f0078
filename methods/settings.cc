#include "methods/settings.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"

namespace daq {
namespace {

const SettingValue& Find(const Settings& settings, std::string_view name) {
  const auto found = settings.find(name);
  DAQ_CHECK(found != settings.end(), name);
  return found->second;
}

template <typename Type>
const Type& Get(const Settings& settings, std::string_view name) {
  const Type* value = std::get_if<Type>(&Find(settings, name));
  DAQ_CHECK(value != nullptr, name);
  return *value;
}

}  // namespace

Settings DefaultSettings(std::span<const SettingSpec> specs) {
  Settings settings;
  for (const SettingSpec& spec : specs) settings.emplace(spec.name, spec.default_value);
  return settings;
}

const SettingCondition* UnmetCondition(const SettingSpec& spec, std::span<const SettingSpec> specs,
                                       const Settings& settings) {
  for (const SettingCondition& condition : spec.needs) {
    const std::string value = ToString(Find(settings, condition.name));
    if (std::find(condition.values.begin(), condition.values.end(), value) ==
        condition.values.end())
      return &condition;
    const auto needed = std::find_if(specs.begin(), specs.end(), [&](const SettingSpec& other) {
      return other.name == condition.name;
    });
    DAQ_CHECK(needed != specs.end(), condition.name);
    if (const SettingCondition* unmet = UnmetCondition(*needed, specs, settings)) return unmet;
  }
  return nullptr;
}

bool GetBool(const Settings& settings, std::string_view name) { return Get<bool>(settings, name); }

std::int64_t GetInt(const Settings& settings, std::string_view name) {
  return Get<std::int64_t>(settings, name);
}

double GetDouble(const Settings& settings, std::string_view name) {
  return Get<double>(settings, name);
}

const std::string& GetString(const Settings& settings, std::string_view name) {
  return Get<std::string>(settings, name);
}

std::string ToString(const SettingValue& value) {
  return std::visit([](const auto& held) { return fmt::format("{}", held); }, value);
}

}  // namespace daq
