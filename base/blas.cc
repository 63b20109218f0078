#include "base/blas.h"

#include <cblas.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <stdexcept>
#include <vector>

#include "base/error.h"

// LAPACK's, in OpenBLAS; its C header is not everywhere installed. The last ones are the lengths of
// the character arguments, as Fortran compilers pass them.
extern "C" void dsyevd_(const char* jobz, const char* uplo, const blasint* n, double* a,
                        const blasint* lda, double* w, double* work, const blasint* lwork,
                        blasint* iwork, const blasint* liwork, blasint* info, std::size_t,
                        std::size_t);
extern "C" void dpstrf_(const char* uplo, const blasint* n, double* a, const blasint* lda,
                        blasint* piv, blasint* rank, const double* tol, double* work, blasint* info,
                        std::size_t);

namespace daq {
namespace {

blasint BlasSize(Index size) {
  DAQ_CHECK(size >= 0 && size <= 0x7fffffff, "a BLAS dimension fits 32 bits");
  return static_cast<blasint>(size);
}

// c = op(a) * b + beta * c, op(a) [m, k].
void Gemm(CBLAS_TRANSPOSE transpose_a, Index m, Index k, double beta, const ConstMatrixViewD& a,
          const ConstMatrixViewD& b, MatrixViewD c) {
  DAQ_CHECK(c.rows() == m && c.cols() == b.cols(), "shapes of a product agree");
  if (c.size() == 0) return;
  cblas_dgemm(CblasRowMajor, transpose_a, CblasNoTrans, BlasSize(m), BlasSize(c.cols()),
              BlasSize(k), 1.0, a.data(), BlasSize(a.outerStride()), b.data(),
              BlasSize(b.outerStride()), beta, c.data(), BlasSize(c.outerStride()));
}

// b = b * op(r)^-1.
void Trsm(CBLAS_TRANSPOSE transpose, const ConstMatrixViewD& r, MatrixViewD b) {
  DAQ_CHECK(r.rows() == r.cols() && b.cols() == r.rows(), "a square divisor of b's width");
  if (b.size() == 0) return;
  cblas_dtrsm(CblasRowMajor, CblasRight, CblasUpper, transpose, CblasNonUnit, BlasSize(b.rows()),
              BlasSize(b.cols()), 1.0, r.data(), BlasSize(r.outerStride()), b.data(),
              BlasSize(b.outerStride()));
}

// Small integers, so that a product is exact and one wrong term shows.
double Pattern(Index row, Index col) {
  return static_cast<double>((row * 7 + col * 13 + row * col) % 17 - 8);
}

void CheckShape(Index m, Index n, Index k) {
  const MatrixD a = MatrixD::NullaryExpr(m, k, [](Index r, Index c) { return Pattern(r, c); });
  const MatrixD b = MatrixD::NullaryExpr(n, k, [](Index r, Index c) { return Pattern(c + 3, r); });
  const MatrixD b_transposed = b.transpose();
  MatrixD product = MatrixD::Constant(m, n, std::nan(""));
  Multiply(a, b_transposed, product);
  MatrixD added = MatrixD::Zero(m, n);
  AddTransposedProduct(MatrixD(a.transpose()), b_transposed, added);
  MatrixD subtracted = MatrixD::Zero(m, n);
  SubtractProductTransposed(a, b, subtracted);
  for (Index row = 0; row < m; ++row) {
    for (Index col = 0; col < n; ++col) {
      double expected = 0;
      for (Index i = 0; i < k; ++i) expected += a(row, i) * b(col, i);
      for (const double found : {product(row, col), added(row, col), -subtracted(row, col)}) {
        if (found == expected) continue;
        throw std::runtime_error(fmt::format(
            "{} computes wrong products on this processor: element ({}, {}) of a {} x {} x {} "
            "product is {}, expected {}. Set OPENBLAS_CORETYPE=Haswell, or install a newer "
            "libopenblas.",
            BlasDescription(), row, col, m, n, k, found, expected));
      }
    }
  }
}

// Division by a unit triangle of small integers, whose quotients are small integers too: products
// with the triangle, divided again.
void CheckDivision(Index m, Index n) {
  MatrixD r = MatrixD::Identity(n, n);
  for (Index row = 0; row < n; ++row) {
    for (Index col = row + 1; col < std::min(n, row + 3); ++col) r(row, col) = Pattern(row, col);
  }
  const MatrixD b =
      MatrixD::NullaryExpr(m, n, [](Index row, Index col) { return Pattern(row, col); });
  MatrixD plain(m, n);
  Multiply(b, r, plain);
  DivideByUpper(r, plain);
  MatrixD transposed = b;
  SubtractProductTransposed(b, r, transposed);  // b - b r^T
  transposed = b - transposed;
  DivideByUpperTransposed(r, transposed);
  if (plain == b && transposed == b) return;
  throw std::runtime_error(
      fmt::format("{} solves triangular systems of {} wrongly on this processor. Set "
                  "OPENBLAS_CORETYPE=Haswell, "
                  "or install a newer libopenblas.",
                  BlasDescription(), n));
}

}  // namespace

void SetUpBlas() {
  openblas_set_num_threads(1);
  // One tile, edges on every side of a kernel's tile, and more depth than one packed panel.
  CheckShape(16, 16, 16);
  CheckShape(67, 83, 131);
  CheckShape(1, 515, 33);
  CheckShape(130, 3, 700);
  CheckDivision(16, 16);
  CheckDivision(67, 131);
}

std::string BlasDescription() {
  return fmt::format("{} core {}", openblas_get_config(), openblas_get_corename());
}

void Multiply(const ConstMatrixViewD& a, const ConstMatrixViewD& b, MatrixViewD c) {
  DAQ_CHECK(a.cols() == b.rows(), "shapes of a product agree");
  Gemm(CblasNoTrans, a.rows(), a.cols(), 0.0, a, b, c);
}

void AddTransposedProduct(const ConstMatrixViewD& a, const ConstMatrixViewD& b, MatrixViewD c) {
  DAQ_CHECK(a.rows() == b.rows(), "shapes of a product agree");
  Gemm(CblasTrans, a.cols(), a.rows(), 1.0, a, b, c);
}

void SubtractProductTransposed(const ConstMatrixViewD& a, const ConstMatrixViewD& b,
                               MatrixViewD c) {
  DAQ_CHECK(a.cols() == b.cols() && c.rows() == a.rows() && c.cols() == b.rows(),
            "shapes of a product agree");
  if (c.size() == 0) return;
  cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, BlasSize(c.rows()), BlasSize(c.cols()),
              BlasSize(a.cols()), -1.0, a.data(), BlasSize(a.outerStride()), b.data(),
              BlasSize(b.outerStride()), 1.0, c.data(), BlasSize(c.outerStride()));
}

void DivideByUpper(const ConstMatrixViewD& r, MatrixViewD b) { Trsm(CblasNoTrans, r, b); }

void DivideByUpperTransposed(const ConstMatrixViewD& r, MatrixViewD b) { Trsm(CblasTrans, r, b); }

VectorD DecomposeSymmetric(MatrixD* matrix) {
  DAQ_CHECK(matrix->rows() == matrix->cols() && matrix->size() > 0, "a square matrix");
  const blasint size = BlasSize(matrix->rows());
  VectorD values(matrix->rows());
  double best_work = 0;
  blasint best_iwork = 0;
  blasint info = 0;
  const blasint query = -1;
  // LAPACK counts by columns: its upper triangle is ours below the diagonal, its eigenvectors in
  // columns are our rows.
  dsyevd_("V", "U", &size, matrix->data(), &size, values.data(), &best_work, &query, &best_iwork,
          &query, &info, 1, 1);
  VectorD work(static_cast<Index>(best_work));
  std::vector<blasint> iwork(static_cast<std::size_t>(best_iwork));
  const blasint work_size = BlasSize(work.size());
  dsyevd_("V", "U", &size, matrix->data(), &size, values.data(), work.data(), &work_size,
          iwork.data(), &best_iwork, &info, 1, 1);
  if (info != 0) {
    throw std::runtime_error(
        fmt::format("{}: dsyevd of a {} x {} matrix failed with info {}; is every entry finite?",
                    BlasDescription(), size, size, info));
  }
  return values;
}

PivotedFactor FactorSemidefinite(MatrixD* matrix) {
  DAQ_CHECK(matrix->rows() == matrix->cols() && matrix->size() > 0, "a square matrix");
  if (!matrix->allFinite()) throw std::runtime_error("a matrix to factor is not finite");
  const blasint size = BlasSize(matrix->rows());
  std::vector<blasint> pivots(static_cast<std::size_t>(size));
  std::vector<double> work(2 * static_cast<std::size_t>(size));
  blasint rank = 0;
  blasint info = 0;
  const double default_tolerance = -1;
  // LAPACK counts by columns: its lower triangle is ours above the diagonal.
  dpstrf_("L", &size, matrix->data(), &size, pivots.data(), &rank, &default_tolerance, work.data(),
          &info, 1);
  DAQ_CHECK(info >= 0, "valid arguments");
  PivotedFactor factor{.order = {}, .rank = rank};
  for (const blasint pivot : pivots) factor.order.push_back(pivot - 1);
  return factor;
}

}  // namespace daq
