#pragma once
#include <memory>
#include <new>

#include "base/matrix.h"

namespace daq {

// Floats in a register.
#ifdef __AVX512F__
inline constexpr Index kFloatLanes = 16;
#else
inline constexpr Index kFloatLanes = 8;
#endif

// Columns that a product computes together.
inline constexpr Index kPanelColumns = 2 * kFloatLanes;

// A matrix in the order in which a product reads its right-hand operand: panels of kPanelColumns
// columns, in each of them row after row. The last panel is filled up with zeros.
class PackedMatrix {
 public:
  PackedMatrix() = default;

  // Becomes a matrix [rows, cols], or what is the transpose of one [cols, rows]. Keeps its memory
  // for the next one if that is not larger.
  void Pack(const ConstMatrixView& matrix);
  void PackTransposed(const ConstMatrixView& transposed);

  Index rows() const { return rows_; }
  Index cols() const { return cols_; }

  // From row `row` of panel number `panel` on: kPanelColumns numbers a row.
  const float* panel(Index panel, Index row) const {
    return numbers_.get() + (panel * rows_ + row) * kPanelColumns;
  }

  // Numbers that a matrix of that shape takes.
  static Index Size(Index rows, Index cols);

 private:
  void Resize(Index rows, Index cols);

  struct Free {
    void operator()(float* numbers) const;
  };

  Index rows_ = 0;
  Index cols_ = 0;
  Index capacity_ = 0;
  std::unique_ptr<float, Free> numbers_;  // whole cache lines
};

}  // namespace daq
