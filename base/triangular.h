#pragma once
#include "base/matrix.h"
#include "base/thread_pool.h"

namespace daq {

// Factorisations of symmetric matrices in double, in place, blocked, shared out over a pool; the
// same bits for any number of threads.

// Overwrites the upper triangle of `a`, [n, n] symmetric (what lies below the diagonal is not
// read), with the upper triangular R of a = R R^T: the Cholesky factorisation taken from the last
// row to the first. What lies below the diagonal becomes 0. Its inverse U = R^-1 is the upper
// triangular factor of a^-1 = U^T U, without a^-1 ever being formed.
//
// Returns false, with `a` half overwritten, if the matrix is not positive definite to working
// precision: a pivot is not above n * 2^-52 times the diagonal element it comes from.
[[nodiscard]] bool FactorUpper(MatrixViewD a, ThreadPool* pool);

// Overwrites the upper triangular `r`, [n, n], zero below a diagonal without zeros, with its
// inverse.
void InvertUpper(MatrixViewD r, ThreadPool* pool);

// Writes to `upper` the U, [n, n], upper triangular and zero below, of
// (diag(d) + Y^T Y)^-1 = U^T U for Y [t, n] and d [n] above zero: what FactorUpper and InvertUpper
// make of that matrix, in 2 t n^2 + 8 t^2 n operations instead of n^3, and without the matrix. For
// t well below n.
//
// From the last block of features B to the first, with L the features behind it and
// M = I + Y_L diag(d_L)^-1 Y_L^T [t, t], whose inverse is kept: the Schur complement of B is
// diag(d_B) + Y_B^T M^-1 Y_B (Woodbury's identity); U_B is the inverse of its factor, and with
// Z = M^-1 Y_B U_B^T the rows of U behind it are -Z^T Y_L diag(d_L)^-1, and M^-1 becomes
// M^-1 - Z Z^T.
//
// Returns false, with `upper` half written, where FactorUpper would.
[[nodiscard]] bool InverseFactorOfLowRank(const VectorD& d, const ConstMatrixViewD& y,
                                          ThreadPool* pool, MatrixF* upper);

}  // namespace daq
