#pragma once
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>

namespace daq {

// A number of a result file; null where it is not known or not finite, as a standard error of a
// single window: JSON has no NaN.
inline nlohmann::ordered_json NumberOrNull(std::optional<double> value) {
  return value && std::isfinite(*value) ? nlohmann::ordered_json(*value) : nlohmann::ordered_json();
}

}  // namespace daq
