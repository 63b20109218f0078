#include "base/float_product.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <utility>

#include "base/error.h"

namespace daq {
namespace {

constexpr std::size_t kLaneBytes = sizeof(float) * static_cast<std::size_t>(kFloatLanes);
using Lanes = float __attribute__((vector_size(kLaneBytes)));
using UnalignedLanes = float __attribute__((vector_size(kLaneBytes), aligned(4), may_alias));
constexpr Index kPanelLanes = kPanelColumns / kFloatLanes;

// Rows of c whose sums for one panel fill the registers: 12 of 16 with AVX2, 24 of 32 with AVX-512.
constexpr Index kKernelRows = kFloatLanes == 16 ? 12 : 6;

// The sums of a block of terms stay in registers; a larger one would let a panel of b fall out of
// the L2 cache.
constexpr Index kDepthBlock = 768;

// Rows of a that are multiplied with one panel after the other, so that they stay in cache.
constexpr Index kRowBlock = 24;
static_assert(kRowBlock % kKernelRows == 0);

// Columns of b that are packed at a time.
constexpr Index kColumnBlock = 1024;

// Terms of each block but the last of a product of `depth` terms: blocks of about the same size.
// It must depend on nothing else, because it decides how an element is rounded.
Index DepthBlock(Index depth) {
  const Index blocks = (depth + kDepthBlock - 1) / kDepthBlock;
  const Index terms = (depth + blocks - 1) / blocks;
  return (terms + 7) / 8 * 8;
}

// How the block of terms from `first` on enters c: only the first one is assigned.
ProductUse UseOfBlock(ProductUse use, Index first) {
  return use == ProductUse::kAssign && first > 0 ? ProductUse::kAdd : use;
}

const UnalignedLanes& LanesAt(const float* numbers) {
  return *reinterpret_cast<const UnalignedLanes*>(numbers);
}
UnalignedLanes& LanesAt(float* numbers) { return *reinterpret_cast<UnalignedLanes*>(numbers); }

// kRows rows of a by one panel of b, `depth` terms.
template <Index kRows>
void MultiplyPanel(const float* a, Index a_stride, const float* panel, Index depth, ProductUse use,
                   float* c, Index c_stride) {
  // What c holds is read or overwritten only at the end: time to fetch it.
  for (Index row = 0; row < kRows; ++row) {
    __builtin_prefetch(c + row * c_stride, 1);
    __builtin_prefetch(c + row * c_stride + kPanelColumns - 1, 1);
  }
  Lanes sums[static_cast<std::size_t>(kRows)][kPanelLanes] = {};
#pragma GCC unroll 4
  for (Index i = 0; i < depth; ++i) {
    const Lanes left = LanesAt(panel + i * kPanelColumns);
    const Lanes right = LanesAt(panel + i * kPanelColumns + kFloatLanes);
    for (Index row = 0; row < kRows; ++row) {
      const float factor = a[row * a_stride + i];
      sums[row][0] += factor * left;
      sums[row][1] += factor * right;
    }
  }
  for (Index row = 0; row < kRows; ++row) {
    for (Index lane = 0; lane < kPanelLanes; ++lane) {
      UnalignedLanes& to = LanesAt(c + row * c_stride + lane * kFloatLanes);
      switch (use) {
        case ProductUse::kAssign:
          to = sums[row][lane];
          break;
        case ProductUse::kAdd:
          to += sums[row][lane];
          break;
        case ProductUse::kSubtract:
          to -= sums[row][lane];
          break;
      }
    }
  }
}

using Kernel = void (*)(const float*, Index, const float*, Index, ProductUse, float*, Index);

// Kernels for 1, 2, ... kKernelRows rows.
template <std::size_t... kRows>
constexpr std::array<Kernel, sizeof...(kRows)> KernelsFor(std::index_sequence<kRows...>) {
  return {&MultiplyPanel<static_cast<Index>(kRows) + 1>...};
}
constexpr auto kKernels =
    KernelsFor(std::make_index_sequence<static_cast<std::size_t>(kKernelRows)>());

// The same for a panel of which c has only the first `columns`.
void MultiplyPartOfPanel(Kernel kernel, Index rows, Index columns, const float* a, Index a_stride,
                         const float* panel, Index depth, ProductUse use, float* c,
                         Index c_stride) {
  std::array<float, static_cast<std::size_t>(kKernelRows * kPanelColumns)> whole;
  for (Index row = 0; row < rows; ++row)
    std::copy_n(c + row * c_stride, columns, whole.data() + row * kPanelColumns);
  kernel(a, a_stride, panel, depth, use, whole.data(), kPanelColumns);
  for (Index row = 0; row < rows; ++row)
    std::copy_n(whole.data() + row * kPanelColumns, columns, c + row * c_stride);
}

// c (use) a * op(b), b packed piece by piece by pack(first row, rows, first column, columns, to) of
// op(b) [k, n].
template <typename Pack>
void MultiplyPieces(const ConstMatrixView& a, Index k, Index n, const Pack& pack, ProductUse use,
                    MatrixView c) {
  DAQ_CHECK(a.cols() == k && c.rows() == a.rows() && c.cols() == n, "shapes of a product agree");
  if (c.size() == 0) return;
  if (k == 0) {
    if (use == ProductUse::kAssign) c.setZero();
    return;
  }
  thread_local PackedMatrix packed;
  const Index block = DepthBlock(k);
  for (Index column = 0; column < n; column += kColumnBlock) {
    const Index columns = std::min(kColumnBlock, n - column);
    for (Index row = 0; row < k; row += block) {
      const Index rows = std::min(block, k - row);
      pack(row, rows, column, columns, &packed);
      MultiplyPacked(a.middleCols(row, rows), packed, UseOfBlock(use, row),
                     c.middleCols(column, columns));
    }
  }
}

void MultiplyPlain(const ConstMatrixView& a, const ConstMatrixView& b, ProductUse use,
                   MatrixView c) {
  const auto pack = [&](Index row, Index rows, Index column, Index columns, PackedMatrix* to) {
    to->Pack(b.block(row, column, rows, columns));
  };
  MultiplyPieces(a, b.rows(), b.cols(), pack, use, c);
}

void MultiplyByTransposed(const ConstMatrixView& a, const ConstMatrixView& b, ProductUse use,
                          MatrixView c) {
  const auto pack = [&](Index row, Index rows, Index column, Index columns, PackedMatrix* to) {
    to->PackTransposed(b.block(column, row, columns, rows));
  };
  MultiplyPieces(a, b.cols(), b.rows(), pack, use, c);
}

}  // namespace

void MultiplyPacked(const ConstMatrixView& a, const PackedMatrix& b, ProductUse use, MatrixView c) {
  DAQ_CHECK(a.rows() == c.rows() && a.cols() <= b.rows() && c.cols() <= b.cols() && a.cols() > 0,
            "shapes of a product agree");
  const Index block = DepthBlock(a.cols());
  for (Index first = 0; first < a.cols(); first += block) {
    const Index depth = std::min(block, a.cols() - first);
    const ProductUse block_use = UseOfBlock(use, first);
    for (Index row = 0; row < a.rows(); row += kRowBlock) {
      const Index end = std::min(row + kRowBlock, a.rows());
      for (Index column = 0; column < c.cols(); column += kPanelColumns) {
        const float* panel = b.panel(column / kPanelColumns, first);
        const Index columns = std::min(kPanelColumns, c.cols() - column);
        for (Index top = row; top < end; top += kKernelRows) {
          const Index rows = std::min(kKernelRows, end - top);
          const Kernel kernel = kKernels[static_cast<std::size_t>(rows - 1)];
          const float* from = a.data() + top * a.outerStride() + first;
          float* to = c.data() + top * c.outerStride() + column;
          if (columns == kPanelColumns) {
            kernel(from, a.outerStride(), panel, depth, block_use, to, c.outerStride());
          } else {
            MultiplyPartOfPanel(kernel, rows, columns, from, a.outerStride(), panel, depth,
                                block_use, to, c.outerStride());
          }
        }
      }
    }
  }
}

void MultiplyTransposed(const ConstMatrixView& a, const ConstMatrixView& b, MatrixView c) {
  MultiplyByTransposed(a, b, ProductUse::kAssign, c);
}

void AddProductTransposed(const ConstMatrixView& a, const ConstMatrixView& b, MatrixView c) {
  MultiplyByTransposed(a, b, ProductUse::kAdd, c);
}

void Multiply(const ConstMatrixView& a, const ConstMatrixView& b, MatrixView c) {
  MultiplyPlain(a, b, ProductUse::kAssign, c);
}

void SubtractProduct(const ConstMatrixView& a, const ConstMatrixView& b, MatrixView c) {
  MultiplyPlain(a, b, ProductUse::kSubtract, c);
}

}  // namespace daq
