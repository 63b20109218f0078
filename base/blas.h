#pragma once
#include <string>
#include <vector>

#include "base/matrix.h"

namespace daq {

// Makes BLAS single-threaded (daq-bench shares out work itself) and multiplies small matrices of
// awkward shapes against a plain double-precision loop. Some OpenBLAS builds compute wrong numbers
// on processors newer than they are; then every result would be wrong, so this throws
// std::runtime_error with the library's version and core. Call once, before any product.
void SetUpBlas();

// "OpenBLAS 0.3.21 ... Zen": what computed a result, for its provenance.
std::string BlasDescription();

// c = a * b in double: a [m, k], b [k, n], c [m, n].
void Multiply(const ConstMatrixViewD& a, const ConstMatrixViewD& b, MatrixViewD c);

// c += a^T * b in double: a [k, m], b [k, n], c [m, n]. Tiles of Gram matrices.
void AddTransposedProduct(const ConstMatrixViewD& a, const ConstMatrixViewD& b, MatrixViewD c);

// c -= a * b^T in double: a [m, k], b [n, k], c [m, n].
void SubtractProductTransposed(const ConstMatrixViewD& a, const ConstMatrixViewD& b, MatrixViewD c);

// b = b * r^-1, and b = b * r^-T: r [n, n] upper triangular (what lies below its diagonal is not
// read), b [m, n].
void DivideByUpper(const ConstMatrixViewD& r, MatrixViewD b);
void DivideByUpperTransposed(const ConstMatrixViewD& r, MatrixViewD b);

// The eigenvalues of a symmetric matrix, ascending (LAPACK's dsyevd). Row k of `matrix` becomes the
// unit eigenvector of the k-th. Throws std::runtime_error if the iteration does not converge.
VectorD DecomposeSymmetric(MatrixD* matrix);

// The Cholesky factor of a positive semidefinite matrix, the largest remaining diagonal entry first
// (LAPACK's dpstrf): with the result `order` and rank r, the first r rows of what lies on and above
// the diagonal of `matrix` are U, [r, n], with U^T U = A[order, order] to rounding. What remains
// beyond the rank is below n 2^-53 of the largest diagonal entry. Throws std::runtime_error for
// entries that are not finite.
struct PivotedFactor {
  std::vector<Index> order;
  Index rank = 0;
};
PivotedFactor FactorSemidefinite(MatrixD* matrix);

}  // namespace daq
