#pragma once
#include <cstdint>
#include <vector>

#include "methods/quantized_matrix.h"

namespace daq {

// The code nearest to each weight, row-major (Encoder's predicate); rows shared out over the pool.
// grid has the shape of the format for `weight`.
std::vector<std::uint8_t> NearestCodes(const ConstMatrixView& weight, const Format& format,
                                       const Grid& grid, ThreadPool* pool);

}  // namespace daq
