#include "base/float_product.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/multiply_add.h"

namespace daq {
namespace {

MatrixF Waves(Index rows, Index cols, int seed) {
  return MatrixF::NullaryExpr(rows, cols, [&](Index row, Index col) {
    return std::sin(static_cast<float>(row * 31 + col * 17 + row * col % 7 + seed));
  });
}

// What the header promises for one element, `before` what c held: blocks of about the same length,
// at most 768, each a chain from its first term on.
float Element(const MatrixF& a, const MatrixF& b, Index row, Index col, ProductUse use,
              float before) {
  const Index depth = a.cols();
  const Index blocks = (depth + 767) / 768;
  const Index block = ((depth + blocks - 1) / blocks + 7) / 8 * 8;
  float result = before;
  for (Index begin = 0; begin < depth; begin += block) {
    float sum = 0;
    for (Index i = begin; i < std::min(begin + block, depth); ++i)
      sum = MultiplyAdd(a(row, i), b(i, col), sum);
    if (use == ProductUse::kSubtract) {
      result -= sum;
    } else {
      result = use == ProductUse::kAssign && begin == 0 ? sum : result + sum;
    }
  }
  return result;
}

// Every element of every kind of product has exactly the bits of the definition; matrices are
// blocks of wider ones, of which nothing else is touched. Sizes around the kernel's rows, the
// panels' columns, the squares that are transposed together, and the blocks of terms.
TEST(FloatProductTest, EveryElementIsTheSumThatTheHeaderDefines) {
  for (const Index k : {1, 7, 8, 9, 33, 767, 769, 1539}) {
    for (const Index m : {1, 2, 5, 6, 7, 12, 25}) {
      for (const Index n : {1, 8, 15, 16, 17, 33}) {
        const MatrixF a = Waves(m + 2, k + 3, 1);
        const MatrixF b = Waves(k + 1, n + 2, 2);
        const MatrixF b_transposed = b.transpose();
        const MatrixF before = Waves(m, n + 3, 3);
        MatrixF plain = before;
        MatrixF transposed = before;
        MatrixF added = before;
        MatrixF subtracted = before;
        const auto a_part = a.block(1, 2, m, k);
        const auto b_part = b.block(1, 1, k, n);
        const auto b_part_transposed = b_transposed.block(1, 1, n, k);
        Multiply(a_part, b_part, plain.middleCols(1, n));
        MultiplyTransposed(a_part, b_part_transposed, transposed.middleCols(1, n));
        AddProductTransposed(a_part, b_part_transposed, added.middleCols(1, n));
        SubtractProduct(a_part, b_part, subtracted.middleCols(1, n));
        Index wrong = 0;
        for (Index row = 0; row < m; ++row) {
          for (const Index outside : {Index{0}, n + 1, n + 2}) {
            for (const MatrixF* c : {&plain, &transposed, &added, &subtracted})
              wrong += (*c)(row, outside) == before(row, outside) ? 0 : 1;
          }
          for (Index col = 0; col < n; ++col) {
            const float held = before(row, col + 1);
            const auto expected = [&](ProductUse use) {
              return Element(a_part, b_part, row, col, use, held);
            };
            wrong += plain(row, col + 1) == expected(ProductUse::kAssign) ? 0 : 1;
            wrong += transposed(row, col + 1) == expected(ProductUse::kAssign) ? 0 : 1;
            wrong += added(row, col + 1) == expected(ProductUse::kAdd) ? 0 : 1;
            wrong += subtracted(row, col + 1) == expected(ProductUse::kSubtract) ? 0 : 1;
          }
        }
        EXPECT_EQ(wrong, 0) << m << " x " << n << " x " << k;
      }
    }
  }
}

// Wider than the columns that are packed at a time, in pieces and in one.
TEST(FloatProductTest, APieceOfAProductHasTheBitsOfTheWhole) {
  const MatrixF a = Waves(70, 900, 4);
  const MatrixF b = Waves(1100, 900, 5);
  MatrixF whole(70, 1100);
  MultiplyTransposed(a, b, whole);
  for (const Index first : {0, 3, 41}) {
    MatrixF piece(70 - first, 1100 - 7 * first);
    MultiplyTransposed(a.bottomRows(70 - first), b.bottomRows(1100 - 7 * first), piece);
    EXPECT_EQ(piece, whole.bottomRightCorner(70 - first, 1100 - 7 * first));
  }
}

// Against double: n half units in the last place of a sum of n terms of magnitude <= 1.
TEST(FloatProductTest, AgreesWithDouble) {
  const MatrixF a = Waves(9, 2000, 6);
  const MatrixF b = Waves(2000, 40, 7);
  MatrixF c(9, 40);
  Multiply(a, b, c);
  const MatrixD expected = a.cast<double>() * b.cast<double>();
  EXPECT_LT((c.cast<double>() - expected).cwiseAbs().maxCoeff(), 2000 * 0x1p-25 * 100);
}

TEST(FloatProductTest, APackedMatrixServesItsLeadingRowsAndColumns) {
  const MatrixF b = Waves(800, 50, 8);
  const MatrixF a = Waves(30, 800, 9);
  PackedMatrix packed;
  packed.Pack(Waves(900, 60, 0));  // a larger one before, whose memory is used again
  packed.Pack(b);
  EXPECT_EQ(packed.rows(), 800);
  EXPECT_EQ(packed.cols(), 50);
  PackedMatrix from_transposed;
  from_transposed.PackTransposed(MatrixF(b.transpose()));
  for (const Index k : {1, 500, 800}) {
    for (const Index n : {1, 16, 49, 50}) {
      MatrixF expected(30, n);
      Multiply(a.leftCols(k), b.topLeftCorner(k, n), expected);
      MatrixF c(30, n);
      MultiplyPacked(a.leftCols(k), packed, ProductUse::kAssign, c);
      EXPECT_EQ(c, expected);
      MultiplyPacked(a.leftCols(k), from_transposed, ProductUse::kAssign, c);
      EXPECT_EQ(c, expected);
    }
  }
}

TEST(FloatProductTest, NothingTimesNothing) {
  MatrixF c = MatrixF::Ones(2, 3);
  Multiply(MatrixF(2, 0), MatrixF(0, 3), c);
  EXPECT_EQ(c, MatrixF::Zero(2, 3));
  c.setOnes();
  SubtractProduct(MatrixF(2, 0), MatrixF(0, 3), c);
  EXPECT_EQ(c, MatrixF::Ones(2, 3));
  MatrixF empty(0, 3);
  Multiply(MatrixF(0, 4), MatrixF(4, 3), empty);
}

}  // namespace
}  // namespace daq
