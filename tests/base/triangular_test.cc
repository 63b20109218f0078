#include "base/triangular.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <utility>

#include "base/blas.h"

namespace daq {
namespace {

double Value(Index row, Index col) {
  return std::sin(static_cast<double>(row * 31 + col * 17 + 1));
}

// Positive definite with a condition number of about 100.
MatrixD PositiveMatrix(Index size) {
  const MatrixD x = MatrixD::NullaryExpr(size, size, [](Index r, Index c) { return Value(r, c); });
  return x * x.transpose() / static_cast<double>(size) + 0.05 * MatrixD::Identity(size, size);
}

class TriangularTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { SetUpBlas(); }
};

constexpr Index kSizes[] = {1, 2, 127, 128, 129, 300};  // around a tile

TEST_F(TriangularTest, TheFactorMultipliesToTheMatrixAndIsZeroBelowTheDiagonal) {
  ThreadPool pool(2);
  for (const Index size : kSizes) {
    const MatrixD a = PositiveMatrix(size);
    MatrixD r = a;
    r.triangularView<Eigen::StrictlyLower>().setConstant(
        std::numeric_limits<double>::quiet_NaN());  // must not be read
    ASSERT_TRUE(FactorUpper(r, &pool));
    EXPECT_TRUE(r.isUpperTriangular(0.0)) << size;
    // Cholesky is backward stable: n * 2^-53 of the diagonal at most, here with room for ten.
    EXPECT_LE((r * r.transpose() - a).cwiseAbs().maxCoeff(),
              10 * static_cast<double>(size) * 0x1p-53 * a.cwiseAbs().maxCoeff())
        << size;
  }
}

TEST_F(TriangularTest, TheInverseMultipliesToTheIdentity) {
  ThreadPool pool(2);
  for (const Index size : kSizes) {
    MatrixD r = PositiveMatrix(size);
    ASSERT_TRUE(FactorUpper(r, &pool));
    MatrixD u = r;
    InvertUpper(u, &pool);
    EXPECT_TRUE(u.isUpperTriangular(0.0)) << size;
    // n * 2^-53 times the condition number of R, below 100.
    EXPECT_LE((r * u - MatrixD::Identity(size, size)).cwiseAbs().maxCoeff(),
              100 * static_cast<double>(size) * 0x1p-53)
        << size;
  }
}

TEST_F(TriangularTest, TheSameBitsForAnyThreadCount) {
  ThreadPool one(1);
  ThreadPool three(3);
  MatrixD a = PositiveMatrix(520);
  MatrixD b = a;
  ASSERT_TRUE(FactorUpper(a, &one));
  ASSERT_TRUE(FactorUpper(b, &three));
  EXPECT_EQ(a, b);
  InvertUpper(a, &one);
  InvertUpper(b, &three);
  EXPECT_EQ(a, b);
}

TEST_F(TriangularTest, SingularAndIndefiniteAndUndefinedMatricesAreRefused) {
  ThreadPool pool(1);
  for (const Index size : {2, 128, 300}) {
    // Rank size - 1: rounding leaves a pivot near 0 of either sign.
    const MatrixD x =
        MatrixD::NullaryExpr(size, size - 1, [](Index r, Index c) { return Value(r, c); });
    MatrixD singular = x * x.transpose();
    EXPECT_FALSE(FactorUpper(singular, &pool)) << size;
    MatrixD indefinite = PositiveMatrix(size);
    indefinite(1, 1) -= 100;
    EXPECT_FALSE(FactorUpper(indefinite, &pool)) << size;
    MatrixD undefined = PositiveMatrix(size);
    undefined(0, size - 1) = std::numeric_limits<double>::quiet_NaN();
    EXPECT_FALSE(FactorUpper(undefined, &pool)) << size;
  }
}

// Y of few rows, of as many as columns, and with a column of zeros; d over three decades.
TEST_F(TriangularTest, TheFactorOfALowRankMatrixIsThatOfTheMatrix) {
  ThreadPool pool(2);
  for (const auto& [rank, size] :
       {std::pair<Index, Index>{1, 1}, {1, 300}, {40, 128}, {40, 300}, {150, 300}, {300, 300}}) {
    MatrixD y = MatrixD::NullaryExpr(rank, size, [](Index r, Index c) { return Value(r, 5 * c); });
    if (size > 7) y.col(7).setZero();
    const VectorD d = VectorD::NullaryExpr(
        size, [](Index i) { return 0.01 * std::pow(10.0, static_cast<double>(i % 4)); });
    MatrixD dense = y.transpose() * y + MatrixD(d.asDiagonal());
    ASSERT_TRUE(FactorUpper(dense, &pool));
    InvertUpper(dense, &pool);
    MatrixF upper;
    ASSERT_TRUE(InverseFactorOfLowRank(d, y, &pool, &upper));
    EXPECT_TRUE(upper.isUpperTriangular(0.0F));
    // U's entries are at most d^-1/2 = 10. They are rounded to float32; in double both ways lose
    // n * 2^-53 times the condition number, below 300 / 0.01, which is less.
    EXPECT_LE((upper.cast<double>() - dense).cwiseAbs().maxCoeff(), 10 * 0x1p-23)
        << rank << " x " << size;
  }
}

TEST_F(TriangularTest, TheFactorOfALowRankMatrixHasTheSameBitsForAnyThreadCount) {
  ThreadPool one(1);
  ThreadPool three(3);
  const MatrixD y = MatrixD::NullaryExpr(200, 520, [](Index r, Index c) { return Value(r, c); });
  const VectorD d = VectorD::Constant(520, 0.1);
  MatrixF a;
  MatrixF b;
  ASSERT_TRUE(InverseFactorOfLowRank(d, y, &one, &a));
  ASSERT_TRUE(InverseFactorOfLowRank(d, y, &three, &b));
  EXPECT_EQ(a, b);
}

TEST_F(TriangularTest, AnUndefinedLowRankMatrixIsRefused) {
  ThreadPool pool(1);
  MatrixD y = MatrixD::Constant(3, 200, 1.0);
  y(1, 150) = std::numeric_limits<double>::quiet_NaN();
  MatrixF upper;
  EXPECT_FALSE(InverseFactorOfLowRank(VectorD::Constant(200, 0.1), y, &pool, &upper));
}

}  // namespace
}  // namespace daq
