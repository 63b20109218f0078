#include "base/triangular.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "base/blas.h"
#include "base/error.h"
#include "base/reduce.h"

namespace daq {
namespace {

// The side of a tile. Long inner products keep dgemm busy; what is done by plain loops, the tiles
// on the diagonal, is 1 / (n / kTile)^2 of the work.
constexpr Index kTile = 128;

Index Tiles(Index size) { return (size + kTile - 1) / kTile; }

Index TileSize(Index tile, Index size) { return std::min(kTile, size - tile * kTile); }

// FactorUpper of one tile. least[k]: what pivot k must exceed.
bool FactorTile(MatrixViewD a, const VectorD& least, Index first) {
  for (Index k = a.rows() - 1; k >= 0; --k) {
    const auto behind = static_cast<std::size_t>(a.rows() - 1 - k);
    const double* row_k = a.row(k).data() + k + 1;
    const double pivot =
        a(k, k) - LaneSum(behind, [&](std::size_t j) { return row_k[j] * row_k[j]; });
    if (!(pivot > least[first + k])) return false;  // NaN too
    a(k, k) = std::sqrt(pivot);
    for (Index i = 0; i < k; ++i) {
      const double* row_i = a.row(i).data() + k + 1;
      const double known = LaneSum(behind, [&](std::size_t j) { return row_i[j] * row_k[j]; });
      a(i, k) = (a(i, k) - known) / a(k, k);
      a(k, i) = 0;
    }
  }
  return true;
}

// InvertUpper of one tile: column after column, each from the inverse to its left.
void InvertTile(MatrixViewD r) {
  for (Index j = 0; j < r.cols(); ++j) {
    const double diagonal = r(j, j);
    for (Index i = 0; i < j; ++i) {
      // Row i of the inverse, already in place, times column j of the tile below row i, which is
      // not yet overwritten.
      const double product = LaneSum(static_cast<std::size_t>(j - i), [&](std::size_t l) {
        const Index at = i + static_cast<Index>(l);
        return r(i, at) * r(at, j);
      });
      r(i, j) = -product / diagonal;
    }
    r(j, j) = 1 / diagonal;
  }
}

}  // namespace

bool FactorUpper(MatrixViewD a, ThreadPool* pool) {
  DAQ_CHECK(a.rows() == a.cols(), "a square matrix");
  const Index size = a.rows();
  const VectorD least =
      a.diagonal() * (static_cast<double>(size) * std::numeric_limits<double>::epsilon());
  for (Index k = Tiles(size) - 1; k >= 0; --k) {
    const Index begin = k * kTile;
    const Index width = TileSize(k, size);
    const Index end = begin + width;
    MatrixViewD column = a.middleCols(begin, width);
    const ConstMatrixViewD known = a.block(begin, end, width, size - end);
    // Rows of this column of tiles: minus what the columns to the right explain.
    const auto subtract = [&](Index i) {
      SubtractProductTransposed(a.block(i * kTile, end, TileSize(i, size), size - end), known,
                                column.middleRows(i * kTile, TileSize(i, size)));
    };
    if (end < size) subtract(k);
    MatrixViewD pivot = a.block(begin, begin, width, width);
    if (!FactorTile(pivot, least, begin)) return false;
    a.block(begin, 0, width, begin).setZero();
    pool->ParallelFor(k, [&](Index i, int) {
      if (end < size) subtract(i);
      DivideByUpperTransposed(pivot, column.middleRows(i * kTile, kTile));
    });
  }
  return true;
}

void InvertUpper(MatrixViewD r, ThreadPool* pool) {
  DAQ_CHECK(r.rows() == r.cols(), "a square matrix");
  const Index size = r.rows();
  // Columns of tiles from the left; above the diagonal tile R_jj, with U the inverse to the left:
  // U_j = -U R_j R_jj^-1.
  for (Index j = 0; j < Tiles(size); ++j) {
    const Index begin = j * kTile;
    const Index width = TileSize(j, size);
    const MatrixD column = r.block(0, begin, begin, width);
    MatrixViewD pivot = r.block(begin, begin, width, width);
    pool->ParallelFor(j, [&](Index i, int) {
      const Index row = i * kTile;
      MatrixViewD target = r.block(row, begin, kTile, width);
      Multiply(r.block(row, row, kTile, begin - row), column.bottomRows(begin - row), target);
      DivideByUpper(pivot, target);
      target = -target;
    });
    InvertTile(pivot);
  }
}

bool InverseFactorOfLowRank(const VectorD& d, const ConstMatrixViewD& y, ThreadPool* pool,
                            MatrixF* upper) {
  DAQ_CHECK(d.size() == y.cols(), "one d a column");
  const Index size = y.cols();
  const Index rank = y.rows();
  const MatrixD scaled = y * d.cwiseInverse().asDiagonal();
  MatrixD inverse = MatrixD::Identity(rank, rank);
  *upper = MatrixF::Zero(size, size);
  const auto for_row_tiles = [&](const std::function<void(Index row, Index rows)>& body) {
    pool->ParallelFor(Tiles(rank),
                      [&](Index tile, int) { body(tile * kTile, TileSize(tile, rank)); });
  };
  for (Index k = Tiles(size) - 1; k >= 0; --k) {
    const Index begin = k * kTile;
    const Index width = TileSize(k, size);
    const ConstMatrixViewD columns = y.middleCols(begin, width);
    MatrixD solved(rank, width);
    for_row_tiles([&](Index row, Index rows) {
      Multiply(inverse.middleRows(row, rows), columns, solved.middleRows(row, rows));
    });
    MatrixD block = d.segment(begin, width).asDiagonal();
    AddTransposedProduct(columns, solved, block);
    if (!FactorUpper(block, pool)) return false;
    InvertUpper(block, pool);
    // What the block's pivots came from is the whole diagonal, of which the block has lost digits.
    const double least = static_cast<double>(size) * std::numeric_limits<double>::epsilon();
    for (Index i = 0; i < width; ++i) {
      const double pivot = 1 / (block(i, i) * block(i, i));
      if (!(pivot > least * (d[begin + i] + columns.col(i).squaredNorm()))) return false;
    }
    upper->block(begin, begin, width, width) = block.cast<float>();
    MatrixD minus_z = MatrixD::Zero(rank, width);
    for_row_tiles([&](Index row, Index rows) {
      SubtractProductTransposed(solved.middleRows(row, rows), block, minus_z.middleRows(row, rows));
    });
    pool->ParallelFor(Tiles(size) - 1 - k, [&](Index tile, int) {
      const Index column = (k + 1 + tile) * kTile;
      const Index columns_behind = TileSize(k + 1 + tile, size);
      MatrixD behind = MatrixD::Zero(width, columns_behind);
      AddTransposedProduct(minus_z, scaled.middleCols(column, columns_behind), behind);
      upper->block(begin, column, width, columns_behind) = behind.cast<float>();
    });
    for_row_tiles([&](Index row, Index rows) {
      SubtractProductTransposed(minus_z.middleRows(row, rows), minus_z,
                                inverse.middleRows(row, rows));
    });
  }
  return true;
}

}  // namespace daq
