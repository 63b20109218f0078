#pragma once
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace daq {

using SettingValue = std::variant<bool, std::int64_t, double, std::string>;

// Another setting of the same part, and its values (as ToString writes them) without which a
// setting has no effect.
struct SettingCondition {
  std::string_view name;
  std::vector<std::string_view> values;
};

// One setting of a range, rounding or transform: what a config may say, and what `plan --explain`
// prints. The alternative that default_value holds is the setting's type. A config may write an
// integer for a double; the reader stores it as the double, so that equal settings compare and hash
// equal.
struct SettingSpec {
  std::string_view name;  // as written in a config
  SettingValue default_value;
  double lowest = 0;  // numbers only: the allowed interval, both ends included
  double highest = 0;
  std::vector<std::string_view> choices = {};  // strings only: the allowed words
  std::vector<SettingCondition> needs = {};    // all of them, or the setting has no effect
  std::string_view meaning;                    // one line: what it does and which way it pushes
  std::string_view
      source;  // where the default comes from: a paper, the authors' code, a measurement
};

// The settings of one part, complete: every name of its SettingSpecs has a value, no other name is
// present. The harness checks types, intervals and choices where a config is read, so Make
// functions may rely on them.
using Settings = std::map<std::string, SettingValue, std::less<>>;

Settings DefaultSettings(std::span<const SettingSpec> specs);

// Why `spec`, one of `specs`, has no effect with `settings`: the condition that is not met, of its
// own or of a setting that it needs. Null if it has one.
const SettingCondition* UnmetCondition(const SettingSpec& spec, std::span<const SettingSpec> specs,
                                       const Settings& settings);

// Typed access; a missing name or another type is a bug here (DAQ_CHECK).
bool GetBool(const Settings& settings, std::string_view name);
std::int64_t GetInt(const Settings& settings, std::string_view name);
double GetDouble(const Settings& settings, std::string_view name);
const std::string& GetString(const Settings& settings, std::string_view name);

// "true", "20", "0.5" (shortest text that reads back to the same double), "quantile".
std::string ToString(const SettingValue& value);

}  // namespace daq
