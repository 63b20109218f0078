// Stands in for OpenBLAS's dgemm by LD_PRELOAD and gives what broken kernels give: a product that
// is right but for one element.
#include <cblas.h>

void cblas_dgemm(CBLAS_ORDER, CBLAS_TRANSPOSE transpose_a, CBLAS_TRANSPOSE transpose_b, blasint m,
                 blasint n, blasint k, double, const double* a, blasint lda, const double* b,
                 blasint ldb, double, double* c, blasint ldc) {
  const auto at = [](CBLAS_TRANSPOSE transpose, const double* matrix, blasint stride, blasint row,
                     blasint col) {
    return transpose == CblasTrans ? matrix[col * stride + row] : matrix[row * stride + col];
  };
  for (blasint row = 0; row < m; ++row) {
    for (blasint col = 0; col < n; ++col) {
      double sum = row == m - 1 && col == n - 1 ? 1.0 : 0.0;
      for (blasint i = 0; i < k; ++i)
        sum += at(transpose_a, a, lda, row, i) * at(transpose_b, b, ldb, i, col);
      c[row * ldc + col] = sum;
    }
  }
}
