#include "base/blas.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

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

// Of full rank, of rank 7 with a row of zeros, and of nothing. Tolerance: sums of up to 40
// products, each rounded to 2^-53 of the largest diagonal entry.
TEST(BlasTest, FactorsOfSemidefiniteMatricesMultiplyBackToThem) {
  SetUpBlas();
  for (const Index rank : {40, 7, 0}) {
    MatrixD rows = MatrixD::NullaryExpr(rank, 40, [](Index r, Index c) {
      return static_cast<double>(Value(r, 3 * c)) * (c == 5 ? 0 : 1 + static_cast<double>(c % 3));
    });
    const MatrixD matrix = rows.transpose() * rows;
    MatrixD factor = matrix;
    const PivotedFactor found = FactorSemidefinite(&factor);
    EXPECT_LE(found.rank, rank == 40 ? 39 : rank);  // column 5 is zero
    ASSERT_EQ(found.order.size(), 40U);
    const MatrixD upper = MatrixD(factor.triangularView<Eigen::Upper>()).topRows(found.rank);
    const MatrixD product = upper.transpose() * upper;
    const double tolerance = 40 * 40 * 0x1p-53 * std::max(matrix.diagonal().maxCoeff(), 1.0);
    for (Index row = 0; row < 40; ++row) {
      for (Index col = 0; col < 40; ++col) {
        EXPECT_NEAR(product(row, col),
                    matrix(found.order[static_cast<std::size_t>(row)],
                           found.order[static_cast<std::size_t>(col)]),
                    tolerance);
      }
      if (row > 0 && row < found.rank) {
        EXPECT_LE(upper(row, row), upper(row - 1, row - 1));
      }
    }
  }
  MatrixD bad = MatrixD::Identity(3, 3);
  bad(1, 1) = std::nan("");
  EXPECT_THROW(FactorSemidefinite(&bad), std::runtime_error);
}

}  // namespace
}  // namespace daq
