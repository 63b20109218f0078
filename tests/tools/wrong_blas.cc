// Stands in for OpenBLAS's sgemm by LD_PRELOAD and gives what broken kernels give: a product that
// is right but for one element.
#include <cblas.h>

void cblas_sgemm(CBLAS_ORDER, CBLAS_TRANSPOSE, CBLAS_TRANSPOSE transpose_b, blasint m, blasint n,
                 blasint k, float, const float* a, blasint lda, const float* b, blasint ldb, float,
                 float* c, blasint ldc) {
  for (blasint row = 0; row < m; ++row) {
    for (blasint col = 0; col < n; ++col) {
      float sum = row == m - 1 && col == n - 1 ? 1.0F : 0.0F;
      for (blasint i = 0; i < k; ++i)
        sum += a[row * lda + i] * (transpose_b == CblasTrans ? b[col * ldb + i] : b[i * ldb + col]);
      c[row * ldc + col] = sum;
    }
  }
}
