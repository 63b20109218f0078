#pragma once
#include <CLI/CLI.hpp>
#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace daq {

// What CLI11 lets pass, or refuses in words of its own, said as messages about configs are.

// Refuses an empty value, which would otherwise count as none given: "expected <expected>, found
// nothing".
CLI::Validator Something(const std::string& expected);

// Refuses what is not one of `names`, with the nearest: no number stands for one.
CLI::Validator OneOfNames(const std::vector<std::string_view>& names);

// An option whose value is one of those in `values`, by its name.
template <typename Value>
void AddNamed(CLI::App* command, const std::string& option, const std::string& description,
              const std::vector<std::pair<std::string_view, Value>>& values, Value* value) {
  std::vector<std::string_view> names;
  for (const auto& [name, meant] : values) names.push_back(name);
  const auto read = [=](const std::string& text) {
    for (const auto& [name, meant] : values) {
      if (name == text) *value = meant;
    }
  };
  command->add_option_function<std::string>(option, read, description)->check(OneOfNames(names));
}

// What is wrong with the first argument that `command`, which allows extras, does not take; empty
// if it took all. Options come first, for what follows one that is mistyped is its value.
std::string ExtraMistake(const CLI::App& command);

}  // namespace daq
