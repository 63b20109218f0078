#pragma once
#include "base/matrix.h"

namespace daq {

// to[r] = x[r] / sqrt(mean(x[r]^2) + eps) * weight, row by row; the mean in double. `x` and `to`
// may be the same. x, to: [rows, n]; weight: [n].
void RmsNorm(const ConstMatrixView& x, const VectorF& weight, double eps, MatrixView to);

}  // namespace daq
