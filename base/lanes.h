#pragma once
#include <cstddef>
#include <type_traits>

#include "base/multiply_add.h"

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

// *sum += a * b in each lane, as MultiplyAdd.
template <typename AnyLanes>
void AddProduct(const std::type_identity_t<AnyLanes>& a, const std::type_identity_t<AnyLanes>& b,
                AnyLanes* sum) {
  for (std::size_t i = 0; i < sizeof(AnyLanes) / sizeof(a[0]); ++i)
    (*sum)[i] = MultiplyAdd(a[i], b[i], (*sum)[i]);
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
