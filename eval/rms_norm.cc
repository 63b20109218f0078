#include "eval/rms_norm.h"

#include <cmath>

#include "base/reduce.h"

namespace daq {

void RmsNorm(const ConstMatrixView& x, const VectorF& weight, double eps, MatrixView to) {
  const Index n = x.cols();
  for (Index row = 0; row < x.rows(); ++row) {
    const float* from = x.data() + row * x.outerStride();
    float* out = to.data() + row * to.outerStride();
    const double mean_square =
        SquaredNorm(std::span(from, static_cast<std::size_t>(n))) / static_cast<double>(n);
    const auto factor = static_cast<float>(1.0 / std::sqrt(mean_square + eps));
    for (Index i = 0; i < n; ++i) out[i] = from[i] * factor * weight[i];
  }
}

}  // namespace daq
