#pragma once

namespace daq {

// An amount of computing, for forecasts of time: the kinds in whose speed machines differ.
struct Work {
  double products = 0;  // operations of float32 matrix products; a multiply-add counts two
  // Everything else, in seconds of one thread of docs/performance.md's AVX-512 machine.
  double core_seconds = 0;
  double bytes = 0;  // read and written in memory because no cache holds them

  Work& operator+=(const Work& other) {
    products += other.products;
    core_seconds += other.core_seconds;
    bytes += other.bytes;
    return *this;
  }
};

inline Work operator+(Work a, const Work& b) { return a += b; }
inline Work operator*(double factor, const Work& work) {
  return {factor * work.products, factor * work.core_seconds, factor * work.bytes};
}

constexpr Work Products(double operations) { return {.products = operations}; }
// As measured in one thread of that machine.
constexpr Work Nanoseconds(double nanoseconds) { return {.core_seconds = 1e-9 * nanoseconds}; }
constexpr Work Bytes(double bytes) { return {.bytes = bytes}; }

}  // namespace daq
