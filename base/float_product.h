#pragma once
#include "base/matrix.h"
#include "base/packed_matrix.h"

namespace daq {

// Products in float32, each computed by the thread that asks for it. A BLAS packs both operands of
// each product, which costs much of the time of a tile of a few hundred rows, and rounds an element
// by its place in the tile. Here one operand is packed, once for as many products as the caller
// likes, and an element has the same bits wherever it lies, whatever is computed beside it, and
// with any number of lanes: it is a sum of blocks of at most kDepthBlock terms, each a chain of
// fused multiply-adds in the order of the terms.

// c = a * b, c += a * b, c -= a * b.
enum class ProductUse { kAssign, kAdd, kSubtract };

// With the first a.cols() rows and the first c.cols() columns of b. a [m, k], c [m, n].
void MultiplyPacked(const ConstMatrixView& a, const PackedMatrix& b, ProductUse use, MatrixView c);

// c = a * b^T: a [m, k], b [n, k], c [m, n]. The product of every linear layer (x W^T).
void MultiplyTransposed(const ConstMatrixView& a, const ConstMatrixView& b, MatrixView c);

// c += a * b^T.
void AddProductTransposed(const ConstMatrixView& a, const ConstMatrixView& b, MatrixView c);

// c = a * b: a [m, k], b [k, n], c [m, n].
void Multiply(const ConstMatrixView& a, const ConstMatrixView& b, MatrixView c);

// c -= a * b.
void SubtractProduct(const ConstMatrixView& a, const ConstMatrixView& b, MatrixView c);

}  // namespace daq
