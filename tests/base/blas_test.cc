#include "base/blas.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace daq {
namespace {

float Value(Index row, Index col) { return std::sin(static_cast<float>(row * 31 + col * 17 + 1)); }

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
