#pragma once
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

// Sums of eight lanes, `even` the first four, in LaneSum's order (base/reduce.h).
inline double SumOf(const Lanes& even, const Lanes& odd) {
  const Lanes pair = even + odd;
  return (pair[0] + pair[2]) + (pair[1] + pair[3]);
}

}  // namespace daq
