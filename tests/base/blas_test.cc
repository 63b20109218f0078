#include "base/blas.h"

#include <gtest/gtest.h>

#include <cmath>

namespace daq {
namespace {

float Value(Index row, Index col) { return std::sin(static_cast<float>(row * 31 + col * 17 + 1)); }

// Sizes around the kernels' tiles. Tolerance: k products of magnitude <= 1, each with half an ulp
// of a sum <= k.
TEST(BlasTest, ProductsOfBlocksInsideWiderMatricesAgreeWithAPlainLoop) {
  SetUpBlas();
  for (const Index k : {1, 3, 16, 17, 385}) {
    for (const Index m : {1, 5, 32}) {
      const Index n = 2 * m + 1;
      const MatrixF a =
          MatrixF::NullaryExpr(m + 2, k + 3, [](Index r, Index c) { return Value(r, c); });
      const MatrixF b =
          MatrixF::NullaryExpr(n, k + 1, [](Index r, Index c) { return Value(c, r); });
      MatrixF c = MatrixF::Zero(m, n + 4);
      MultiplyTransposed(a.block(1, 2, m, k), b.leftCols(k), c.leftCols(n));
      for (Index row = 0; row < m; ++row) {
        for (Index col = 0; col < n; ++col) {
          double expected = 0;
          for (Index i = 0; i < k; ++i)
            expected += static_cast<double>(a(row + 1, i + 2)) * static_cast<double>(b(col, i));
          EXPECT_NEAR(static_cast<double>(c(row, col)), expected,
                      6e-8 * static_cast<double>(k * 4));
        }
      }
      EXPECT_EQ(c.rightCols(4), MatrixF::Zero(m, 4));
    }
  }
}

}  // namespace
}  // namespace daq
