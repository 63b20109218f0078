#pragma once
#include <string>

#include "base/matrix.h"

namespace daq {

// Products in float32. Where the processor has AVX-512, through oneDNN: its kernels, generated for
// the shape at hand, stay near the rate of multiply-adds also for one tile of a few hundred rows,
// where a BLAS loses a tenth to packing. It has no such kernels for older processors; there
// OpenBLAS is faster (docs/performance.md). One thread computes one product, whichever thread it
// is, with the same bits.
enum class FloatProduct {
  kTransposed,  // c = a * b^T: a [m, k], b [n, k]
  kPlain,       // c = a * b:   a [m, k], b [k, n]
  kSubtracted,  // c -= a * b:  a [m, k], b [k, n]
};

// c [m, n]. Throws dnnl::error where oneDNN fails. Each thread keeps what was generated for the
// shapes that it has seen.
void ComputeProduct(FloatProduct product, const ConstMatrixView& a, const ConstMatrixView& b,
                    MatrixView c);

// What computes them: "oneDNN 2.6.3 brg:avx512_core", its version and kernels; "OpenBLAS".
std::string FloatProductDescription();

}  // namespace daq
