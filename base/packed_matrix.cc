#include "base/packed_matrix.h"

#include <algorithm>

namespace daq {
namespace {

constexpr std::align_val_t kCacheLine{64};

// A square of kSide by kSide numbers is transposed in registers.
constexpr Index kSide = 8;
using Row = float __attribute__((vector_size(32)));
using UnalignedRow = float __attribute__((vector_size(32), aligned(4), may_alias));

const UnalignedRow& RowAt(const float* numbers) {
  return *reinterpret_cast<const UnalignedRow*>(numbers);
}
UnalignedRow& RowAt(float* numbers) { return *reinterpret_cast<UnalignedRow*>(numbers); }

// to[i][j] = from[j][i] for i, j < kSide: pairs of neighbours, fours, eights change places.
void TransposeSquare(const float* from, Index from_stride, float* to, Index to_stride) {
  Row rows[kSide];
  Row pairs[kSide];
  Row fours[kSide];
  for (Index i = 0; i < kSide; ++i) rows[i] = RowAt(from + i * from_stride);
  for (Index i = 0; i < kSide; i += 2) {
    const Row& even = rows[i];
    const Row& odd = rows[i + 1];
    pairs[i] = __builtin_shufflevector(even, odd, 0, 8, 1, 9, 4, 12, 5, 13);
    pairs[i + 1] = __builtin_shufflevector(even, odd, 2, 10, 3, 11, 6, 14, 7, 15);
  }
  for (Index i = 0; i < kSide; i += 4) {
    for (Index j = 0; j < 2; ++j) {
      const Row& low = pairs[i + j];
      const Row& high = pairs[i + j + 2];
      fours[i + 2 * j] = __builtin_shufflevector(low, high, 0, 1, 8, 9, 4, 5, 12, 13);
      fours[i + 2 * j + 1] = __builtin_shufflevector(low, high, 2, 3, 10, 11, 6, 7, 14, 15);
    }
  }
  for (Index i = 0; i < kSide / 2; ++i) {
    const Row& low = fours[i];
    const Row& high = fours[i + 4];
    RowAt(to + i * to_stride) = __builtin_shufflevector(low, high, 0, 1, 2, 3, 8, 9, 10, 11);
    RowAt(to + (i + 4) * to_stride) =
        __builtin_shufflevector(low, high, 4, 5, 6, 7, 12, 13, 14, 15);
  }
}

}  // namespace

void PackedMatrix::Free::operator()(float* numbers) const {
  ::operator delete(numbers, kCacheLine);
}

Index PackedMatrix::Size(Index rows, Index cols) {
  return rows * ((cols + kPanelColumns - 1) / kPanelColumns * kPanelColumns);
}

void PackedMatrix::Resize(Index rows, Index cols) {
  const Index size = Size(rows, cols);
  if (size > capacity_) {
    numbers_.reset();
    capacity_ = 0;
    numbers_.reset(static_cast<float*>(
        ::operator new(static_cast<std::size_t>(size) * sizeof(float), kCacheLine)));
    capacity_ = size;
  }
  rows_ = rows;
  cols_ = cols;
}

void PackedMatrix::Pack(const ConstMatrixView& matrix) {
  Resize(matrix.rows(), matrix.cols());
  float* to = numbers_.get();
  for (Index first = 0; first < cols_; first += kPanelColumns) {
    const Index columns = std::min(kPanelColumns, cols_ - first);
    for (Index row = 0; row < rows_; ++row, to += kPanelColumns) {
      const float* from = matrix.data() + row * matrix.outerStride() + first;
      if (columns == kPanelColumns) {
        std::copy_n(from, kPanelColumns, to);  // of a length that the compiler knows
      } else {
        std::fill(std::copy_n(from, columns, to), to + kPanelColumns, 0.0F);
      }
    }
  }
}

void PackedMatrix::PackTransposed(const ConstMatrixView& transposed) {
  Resize(transposed.cols(), transposed.rows());
  const Index stride = transposed.outerStride();
  const Index squares = rows_ / kSide * kSide;
  for (Index first = 0; first < cols_; first += kPanelColumns) {
    float* panel = numbers_.get() + first * rows_;
    for (Index column = 0; column < kPanelColumns; column += kSide) {
      const Index columns = std::clamp<Index>(cols_ - first - column, 0, kSide);
      const float* from = transposed.data() + (first + column) * stride;
      const auto copy = [&](Index row) {
        float* to = panel + row * kPanelColumns + column;
        for (Index i = 0; i < columns; ++i) to[i] = from[i * stride + row];
        std::fill(to + columns, to + kSide, 0.0F);
      };
      if (columns == kSide) {
        for (Index row = 0; row < squares; row += kSide) {
          TransposeSquare(from + row, stride, panel + row * kPanelColumns + column, kPanelColumns);
        }
        for (Index row = squares; row < rows_; ++row) copy(row);
      } else {
        for (Index row = 0; row < rows_; ++row) copy(row);
      }
    }
  }
}

}  // namespace daq
