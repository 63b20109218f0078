#pragma once

namespace daq {

// An amount of computing, for forecasts of time: the two kinds in whose speed machines differ.
struct Work {
  double products = 0;  // operations of float32 matrix products; a multiply-add counts two
  // Everything else, in seconds of one thread of the machine that docs/performance.md describes.
  double core_seconds = 0;

  Work& operator+=(const Work& other) {
    products += other.products;
    core_seconds += other.core_seconds;
    return *this;
  }
};

inline Work operator+(Work a, const Work& b) { return a += b; }
inline Work operator*(double factor, const Work& work) {
  return {factor * work.products, factor * work.core_seconds};
}

constexpr Work Products(double operations) { return {.products = operations}; }
// As measured in one thread of that machine.
constexpr Work Nanoseconds(double nanoseconds) { return {.core_seconds = 1e-9 * nanoseconds}; }

}  // namespace daq
