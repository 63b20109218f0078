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

}  // namespace daq
