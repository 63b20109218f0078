#pragma once
#include <string>

#include "base/matrix.h"

namespace daq {

// Products in float32, through oneDNN: its kernels, generated for the processor that runs them,
// stay near the rate of its multiply-adds also for one tile of a few hundred rows, where a BLAS
// loses a tenth to packing (docs/performance.md). One thread computes one product, whichever thread
// it is, with the same bits.
enum class FloatProduct {
  kTransposed,  // c = a * b^T: a [m, k], b [n, k]
  kPlain,       // c = a * b:   a [m, k], b [k, n]
  kSubtracted,  // c -= a * b:  a [m, k], b [k, n]
};

// c [m, n]. Throws dnnl::error where oneDNN fails. Each thread keeps what was generated for the
// shapes that it has seen.
void ComputeProduct(FloatProduct product, const ConstMatrixView& a, const ConstMatrixView& b,
                    MatrixView c);

// "oneDNN 2.6.3 brg:avx512_core": its version, and the kernels that it has for this processor.
std::string FloatProductDescription();

}  // namespace daq
