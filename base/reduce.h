#pragma once
#include <array>
#include <cstddef>
#include <span>

namespace daq {

// Sums whose order of additions is fixed: eight lanes, lane i takes elements i, i + 8, i + 16, ...,
// and the lanes are added in a fixed tree. Neither alignment nor vector width nor the number of
// threads changes a bit, and the compiler may still vectorise. Elements are widened to double
// before any arithmetic.
template <typename Term>  // Term: double(std::size_t index)
double LaneSum(std::size_t count, const Term& term) {
  std::array<double, 8> lane{};
  std::size_t i = 0;
  for (; i + 8 <= count; i += 8) {
    for (std::size_t k = 0; k < 8; ++k) lane[k] += term(i + k);
  }
  for (std::size_t k = 0; i + k < count; ++k) lane[k] += term(i + k);
  return ((lane[0] + lane[4]) + (lane[2] + lane[6])) + ((lane[1] + lane[5]) + (lane[3] + lane[7]));
}

inline double Sum(std::span<const double> values) {
  return LaneSum(values.size(), [&](std::size_t i) { return values[i]; });
}

inline double Sum(std::span<const float> values) {
  return LaneSum(values.size(), [&](std::size_t i) { return static_cast<double>(values[i]); });
}

inline double SquaredNorm(std::span<const float> values) {
  return LaneSum(values.size(), [&](std::size_t i) {
    const auto value = static_cast<double>(values[i]);
    return value * value;
  });
}

// sum of (a[i] - b[i])^2; a and b have the same length.
inline double SquaredDistance(std::span<const float> a, std::span<const float> b) {
  return LaneSum(a.size(), [&](std::size_t i) {
    const double difference = static_cast<double>(a[i]) - static_cast<double>(b[i]);
    return difference * difference;
  });
}

}  // namespace daq
