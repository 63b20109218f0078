#pragma once
#include <algorithm>
#include <cstddef>
#include <span>

namespace daq {

// The value at fraction * (size - 1) of the sorted order, linear between neighbours, in double: the
// default quantile of numpy and torch. 0 <= fraction <= 1, values not empty. Reorders values.
inline double Quantile(std::span<float> values, double fraction) {
  const double position = fraction * static_cast<double>(values.size() - 1);
  const auto below = static_cast<std::size_t>(position);
  const auto at = values.begin() + static_cast<std::ptrdiff_t>(below);
  std::nth_element(values.begin(), at, values.end());
  const auto low = static_cast<double>(*at);
  if (below + 1 == values.size()) return low;
  const auto high = static_cast<double>(*std::min_element(at + 1, values.end()));
  return low + (high - low) * (position - static_cast<double>(below));
}

}  // namespace daq
