#pragma once
#include <cmath>
#include <cstddef>

namespace daq {

// Four doubles side by side, a register of AVX2. Element by element all of them do the same
// arithmetic, so how a processor handles them changes no bit.
using Lanes = double __attribute__((vector_size(32)));
inline constexpr std::size_t kLaneCount = 4;

// The same in memory, aligned as numbers are.
using UnalignedLanes = double __attribute__((vector_size(32), aligned(8), may_alias));

// Lanes number `i` of an array.
inline UnalignedLanes& LanesAt(double* numbers, std::size_t i) {
  return reinterpret_cast<UnalignedLanes*>(numbers)[i];
}
inline const UnalignedLanes& LanesAt(const double* numbers, std::size_t i) {
  return reinterpret_cast<const UnalignedLanes*>(numbers)[i];
}

// Eight floats side by side, as many bits.
using FloatLanes = float __attribute__((vector_size(32)));
using UnalignedFloatLanes = float __attribute__((vector_size(32), aligned(4), may_alias));

inline UnalignedFloatLanes& LanesAt(float* numbers, std::size_t i) {
  return reinterpret_cast<UnalignedFloatLanes*>(numbers)[i];
}
inline const UnalignedFloatLanes& LanesAt(const float* numbers, std::size_t i) {
  return reinterpret_cast<const UnalignedFloatLanes*>(numbers)[i];
}

// *sum += a * b in each lane, rounded once where the processor does that in one instruction.
inline void AddProduct(const Lanes& a, const Lanes& b, Lanes* sum) {
#ifdef __FMA__
  for (std::size_t i = 0; i < kLaneCount; ++i) (*sum)[i] = std::fma(a[i], b[i], (*sum)[i]);
#else
  *sum += a * b;
#endif
}
inline void AddProduct(const FloatLanes& a, const FloatLanes& b, FloatLanes* sum) {
#ifdef __FMA__
  for (std::size_t i = 0; i < 2 * kLaneCount; ++i) (*sum)[i] = std::fma(a[i], b[i], (*sum)[i]);
#else
  *sum += a * b;
#endif
}

// Sums of eight lanes, `even` the first four, in LaneSum's order (base/reduce.h).
inline double SumOf(const Lanes& even, const Lanes& odd) {
  const Lanes pair = even + odd;
  return (pair[0] + pair[2]) + (pair[1] + pair[3]);
}

inline float SumOf(const FloatLanes& even, const FloatLanes& odd) {
  const FloatLanes pair = even + odd;
  return ((pair[0] + pair[4]) + (pair[2] + pair[6])) + ((pair[1] + pair[5]) + (pair[3] + pair[7]));
}

}  // namespace daq
